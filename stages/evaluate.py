"""evaluate: what the network gets right and wrong on the validation rows, told and drawn.

What its probabilities are worth follows from that, so that it writes the network to give away, too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import load_classes, name_classes
from digits.data.csv_files import write_table
from digits.data.predictions import VALIDATION, load_first_line, tabulate
from digits.data.tensors import PREPARED, Statistics, map_array, map_labels, map_pixels, read_pixels
from digits.evaluation import calibration, measures
from digits.evaluation.measures import Predictions
from digits.exact import softmax
from digits.files import replacing, write_json
from digits.network.inference import infer
from digits.network.model import MLP, MODEL, load_model
from digits.novelty import Novelty
from digits.params import Params, load_params, name_recipe
from digits.recogniser import RECOGNISER, Description, Recogniser
from digits.report.figures import (
    Fonts,
    draw_confusion,
    draw_digit,
    draw_gallery,
    find_fonts,
    galleries,
)

METRICS, PLOTS = Path("metrics"), Path("plots")


def fit_novelty(statistics: Statistics, classes: int) -> Novelty:
    """Return what training images look like, and how far away validation images are."""
    train, pixels = PREPARED / "train", statistics.pixels
    labels = map_labels(train, classes, len(map_pixels(train, pixels)))
    parts = (read_pixels(folder, pixels) for folder in (train, PREPARED / "validation"))
    fitted, held_out = (map(statistics.upright, blocks) for blocks in parts)
    return Novelty.fit(fitted, labels, held_out)


def write_recogniser(
    networks: Sequence[MLP[NDArray[Any]]],
    names: tuple[str, ...],
    statistics: Statistics,
    temperature: float,
    params: Params,
) -> Recogniser:
    """Write the network with all that it takes to answer images, to be given away; return it."""
    description = Description(
        widths=(statistics.pixels, *params.train.widths, len(names)),
        networks=len(networks),
        recipe=name_recipe(params),
        classes=names,
        statistics=statistics,
        views=params.predict,
        temperature=temperature,
    )
    recogniser = Recogniser(networks, description, fit_novelty(statistics, len(names)))
    with replacing(RECOGNISER) as temporary:
        temporary.write_bytes(recogniser.encode())
    return recogniser


def write_metrics(
    logits: NDArray[np.float32], actual: NDArray[np.int64], calibrated: pd.DataFrame
) -> int:
    """Write what the network's own probabilities come to; return how many answers are wrong."""
    raw, errors = calibrated.iloc[0], int((logits.argmax(axis=1) != actual).sum())
    evaluation = {
        "accuracy": (len(actual) - errors) / len(actual),
        "errors": errors,
        "negative_log_likelihood": raw["negative_log_likelihood"],
        "brier_score": measures.brier_score(measures.by_blocks(softmax, logits), actual),
        "expected_calibration_error": raw["expected_calibration_error"],
    }
    write_json(METRICS / "evaluation.json", evaluation)
    return errors


def write_answers(predictions: Predictions, names: Sequence[str], title: str, fonts: Fonts) -> None:
    """Write the answers beside the truth, and how many of which class there are, drawn as well."""
    answers = pd.DataFrame({"actual": predictions.actual, "predicted": predictions.predicted})
    write_table(PLOTS / "confusion.csv", answers.map(names.__getitem__))
    confusion = measures.confusion_matrix(predictions.actual, predictions.predicted, len(names))
    write_table(PLOTS / "classes.csv", measures.by_class(confusion, names))
    matrix = {"rows": [f"actual {name}" for name in names]}
    matrix |= {"columns": [f"predicted {name}" for name in names], "counts": confusion.tolist()}
    write_json(METRICS / "confusion_matrix.json", matrix)
    draw_confusion(PLOTS / "confusion.png", confusion, title, names, fonts)


def draw(
    predictions: Predictions,
    pictures: NDArray[np.uint8],
    rows: NDArray[np.int64],
    names: Sequence[str],
    size: int,
    fonts: Fonts,
) -> None:
    """Draw an image, as a network sees it, and the galleries, each of at most `size` images."""
    clearest = predictions.hardest()[-1]
    label = f"label {names[predictions.actual[clearest]]}"
    draw_digit(PLOTS / "digit.png", pictures[clearest], label, fonts)
    for name, title, tiles in galleries(predictions, pictures, rows, names, size):
        draw_gallery(PLOTS / f"{name}.png", title, tiles, fonts)


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    names = name_classes(load_classes(), params.data.class_names)
    statistics = Statistics.load(PREPARED / "statistics.json")
    networks = [MLP.of(one) for one in load_model(MODEL, statistics.pixels, len(names))]
    pixels = map_pixels(PREPARED / "validation", statistics.pixels)
    actual = map_labels(PREPARED / "validation", len(names), len(pixels))
    rows = map_array(PREPARED / "validation" / "rows.npy", np.int64, len(pixels))
    images = map(statistics.normalise, read_pixels(PREPARED / "validation", statistics.pixels))
    logits = np.concatenate([infer(networks, block, params.predict, MODEL) for block in images])
    calibrated, reliability = calibration.summarise(logits, actual)
    write_table(PLOTS / "calibration.csv", calibrated)
    write_table(PLOTS / "reliability.csv", reliability)
    is_held_out, errors = params.train.rows == "train", write_metrics(logits, actual, calibrated)
    # Of rows that were trained on, and without errors, nothing is to be learnt about others.
    temperature = calibrated["temperature"].iloc[-1] if is_held_out and errors else 1.0
    recogniser = write_recogniser(networks, names, statistics, temperature, params)
    predictions = Predictions(actual, measures.by_blocks(recogniser.calibrate, logits))
    first_line = load_first_line("labelled")
    write_table(VALIDATION, tabulate(predictions.probabilities, names, rows, first_line, actual))
    told = f"{errors:,} of {len(actual):,} validation images misclassified"
    told += "" if is_held_out else " (NOT held out: trained on)"
    fonts = find_fonts(names)
    write_answers(predictions, names, told, fonts)
    pictures = pixels.reshape(-1, statistics.side, statistics.side)
    draw(predictions, pictures, rows, names, params.evaluate.gallery, fonts)
    wrote = f"{RECOGNISER}, {VALIDATION}, {METRICS} and {PLOTS}"
    return f"read {MODEL}; {told}, accuracy {1 - errors / len(actual):.4f}; wrote {wrote}"
