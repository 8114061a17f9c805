"""evaluate: what the network gets right and wrong on the validation rows, told and drawn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import load_classes, name_classes
from digits.data.csv_files import write_table
from digits.data.tensors import (
    PREPARED,
    PROBABILITIES,
    Statistics,
    map_array,
    map_labelled,
    map_pixels,
)
from digits.evaluation import calibration, measures
from digits.evaluation.measures import Predictions
from digits.exact import softmax
from digits.files import replacing, write_json
from digits.network.inference import infer
from digits.network.model import MLP, MODEL, load_model
from digits.params import load_params
from digits.report.figures import draw_confusion, draw_digit, draw_gallery, find_fonts, galleries

METRICS, PLOTS = Path("metrics"), Path("plots")


def write_answers(
    predictions: Predictions, confusion: NDArray[np.int64], names: Sequence[str]
) -> None:
    """Write what the network gives each class of each row, and its answers beside the truth."""
    with replacing(PROBABILITIES) as temporary, temporary.open("wb") as file:
        np.save(file, predictions.probabilities)
    answers = pd.DataFrame({"actual": predictions.actual, "predicted": predictions.predicted})
    write_table(PLOTS / "confusion.csv", answers.map(names.__getitem__))
    write_table(PLOTS / "classes.csv", measures.by_class(confusion, names))
    matrix = {"rows": [f"predicted {name}" for name in names]}
    matrix |= {"columns": [f"actual {name}" for name in names], "counts": confusion.tolist()}
    write_json(METRICS / "confusion_matrix.json", matrix)


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    names = name_classes(load_classes(), params.data.class_names)
    classes, statistics = len(names), Statistics.load(PREPARED / "statistics.json")
    images, actual = map_labelled(PREPARED / "validation", classes, statistics.pixels)
    pictures = map_pixels(PREPARED / "validation", statistics.pixels)
    pictures = pictures.reshape(-1, statistics.side, statistics.side)
    networks = [MLP.of(one) for one in load_model(MODEL, statistics.pixels, classes)]
    logits = infer(networks, images, params.predict, MODEL)
    predictions = Predictions(actual, softmax(logits))
    confusion = measures.confusion_matrix(predictions.predicted, actual, classes)
    write_answers(predictions, confusion, names)
    calibrated, reliability = calibration.summarise(logits, actual)
    write_table(PLOTS / "calibration.csv", calibrated)
    write_table(PLOTS / "reliability.csv", reliability)
    raw, errors = calibrated.iloc[0], len(predictions.misclassified())
    evaluation = {
        "accuracy": measures.accuracy(confusion),
        "errors": errors,
        "negative_log_likelihood": raw["negative_log_likelihood"],
        "brier_score": measures.brier_score(predictions.probabilities, actual),
        "expected_calibration_error": raw["expected_calibration_error"],
    }
    write_json(METRICS / "evaluation.json", evaluation)
    told = f"{errors:,} of {len(actual):,} validation images misclassified"
    told += "" if params.train.rows == "train" else " (NOT held out: trained on)"
    fonts = find_fonts(names)
    draw_confusion(PLOTS / "confusion.png", confusion, told, names, fonts)
    clearest = predictions.hardest()[-1]
    label = f"label {names[actual[clearest]]}"
    draw_digit(PLOTS / "digit.png", pictures[clearest], label, fonts)
    size = params.evaluate.gallery
    rows = map_array(PREPARED / "validation" / "rows.npy", np.int64, len(actual))
    for name, title, tiles in galleries(predictions, pictures, rows, names, size):
        draw_gallery(PLOTS / f"{name}.png", title, tiles, fonts)
    return f"read {MODEL}; {told}, accuracy {evaluation['accuracy']:.4f}; wrote {METRICS}, {PLOTS}"
