"""evaluate: what the network gets right and wrong on the validation rows, in numbers and pictures.

    python -m stages evaluate

Reads validation, statistics.json and classes.json in data/prepared, models/mlp.safetensors and
plots/training.csv; writes data/probabilities.npy, metrics/evaluation.json,
metrics/confusion_matrix.json, metrics/calibration.json, plots/confusion.csv, plots/reliability.csv
and the pictures in plots/.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from digits.data.classes import load_classes, name_classes
from digits.data.csv_files import read_table, without_formulas, write_table
from digits.data.tensors import PREPARED, PROBABILITIES, Statistics, map_labelled
from digits.evaluation import calibration, measures
from digits.evaluation.measures import Predictions
from digits.files import replacing, write_json
from digits.network.inference import infer, probabilities
from digits.network.model import MODEL, load_model
from digits.params import load_params
from digits.report import figures
from digits.report.figures import RIGHT, WRONG
from digits.report.galleries import Tile, draw_gallery

METRICS = Path("metrics")
PLOTS = Path("plots")
CURVES = ("training_loss", "validation_loss", "validation_accuracy")


def summarise(
    predictions: Predictions,
    nll: float,
    confusion: NDArray[np.int64],
    names: Sequence[str],
    *,
    held_out: bool,
) -> dict[str, object]:
    """Return the scalars that `dvc metrics diff` compares, and whether the rows were held out."""
    actual = predictions.actual
    return {
        "rows": len(actual),
        "held_out": held_out,
        "accuracy": measures.accuracy(confusion),
        "errors": int(confusion.sum() - confusion.trace()),
        "negative_log_likelihood": nll,
        "brier_score": measures.brier_score(predictions.probabilities, actual),
        "recall": {names[one]: share for one, share in measures.recall(confusion).items()},
        "precision": {names[one]: share for one, share in measures.precision(confusion).items()},
    }


def tabulate(confusion: NDArray[np.int64], names: Sequence[str]) -> dict[str, object]:
    """Return the confusion matrix with its rows and columns named."""
    return {
        "rows": [f"predicted {name}" for name in names],
        "columns": [f"actual {name}" for name in names],
        "counts": confusion.tolist(),
    }


def write_probabilities(predictions: Predictions) -> None:
    """Write what the network gives each class of each row, shape (rows, classes), as float64."""
    with replacing(PROBABILITIES) as temporary, temporary.open("wb") as file:
        np.save(file, predictions.probabilities)


def write_calibration(logits: torch.Tensor, actual: NDArray[np.int64]) -> None:
    """Write how well probabilities and accuracy agree, as they are and scaled by a temperature."""
    summary: dict[str, object] = {}
    columns: dict[str, list[float]] = {}
    scaled = calibration.scale_crosswise(logits, actual)
    for kind, values in {"raw": logits, "scaled": scaled}.items():
        shares, logarithms = probabilities(values)
        answers = Predictions(actual, shares)
        summary[kind] = calibration.summarise(answers, logarithms)
        bins = calibration.bins(answers)
        columns["rows"] = [one.rows for one in bins]
        columns[f"{kind}_confidence"] = [one.confidence for one in bins]
        columns[f"{kind}_accuracy"] = [one.accuracy for one in bins]
    summary["temperature"] = calibration.temperature(logits, actual)
    write_json(METRICS / "calibration.json", summary)
    write_table(PLOTS / "reliability.csv", [pd.DataFrame(columns)])


def galleries(
    predictions: Predictions,
    images: NDArray[np.float32],
    statistics: Statistics,
    names: Sequence[str],
    size: int,
) -> Iterator[tuple[str, str, list[Tile]]]:
    """Yield name, title and tiles of each gallery: samples, the misclassified, the hardest."""
    rows = len(images)
    spread = np.linspace(0, rows - 1, min(size, rows)).astype(np.int64)
    wrong, hardest = predictions.misclassified(), predictions.hardest()
    shown = f"{min(size, len(wrong))} of {len(wrong)}"
    for name, title, ranked, describe in (
        ("samples", "Sample predictions; red: wrong", spread, name_prediction),
        ("misclassified", f"Misclassified, worst first: {shown}", wrong, name_prediction),
        ("hard", "Hard to predict, most evenly divided first; red: wrong", hardest, name_division),
    ):
        chosen = ranked[:size].tolist()
        tiles = [
            Tile(statistics.picture(images[row]), *describe(predictions, row, names))
            for row in chosen
        ]
        yield name, title, tiles


def name_prediction(predictions: Predictions, row: int, names: Sequence[str]) -> tuple[str, str]:
    """Return the predicted class of a row and, where it is wrong, the actual; and their colour."""
    predicted, actual = predictions.predicted[row], predictions.actual[row]
    if predicted == actual:
        return f"predicted {names[predicted]}", RIGHT
    return f"predicted {names[predicted]}\nactual {names[actual]}", WRONG


def name_division(predictions: Predictions, row: int, names: Sequence[str]) -> tuple[str, str]:
    """Return the two likeliest classes of a row, the actual one, and the colour of the words."""
    shares = predictions.probabilities[row]
    first, second = np.argsort(-shares, kind="stable")[:2]
    actual = predictions.actual[row]
    parts = ", ".join(f"{names[label]}: {shares[label]:.0%}" for label in (first, second))
    return f"{parts}\nactual {names[actual]}", RIGHT if first == actual else WRONG


def draw(
    predictions: Predictions,
    images: NDArray[np.float32],
    statistics: Statistics,
    names: Sequence[str],
    size: int,
) -> None:
    """Draw the clearest image and every gallery.

    Args:
        predictions: for the images.
        images: shape (rows, pixels), normalised.
        statistics: what they were normalised with.
        names: of the classes.
        size: pictures in a gallery, at most.
    """
    clearest = predictions.hardest()[-1]
    label = f"label {names[predictions.actual[clearest]]}"
    figures.draw_digit(PLOTS / "digit.png", statistics.picture(images[clearest]), label)
    drawn = list(galleries(predictions, images, statistics, names, size))
    for name, title, tiles in tqdm(drawn, "galleries", leave=False, disable=None):
        draw_gallery(PLOTS / f"{name}.png", title, tiles)


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    names = name_classes(load_classes(), params.data.class_names)
    classes = len(names)
    statistics = Statistics.load(PREPARED / "statistics.json")
    images, actual = map_labelled(PREPARED / "validation", classes, statistics.pixels)
    model = load_model(MODEL, statistics.pixels, classes)
    logits = infer(model, torch.from_numpy(images), params.predict.shift, MODEL)
    shares, logarithms = probabilities(logits)
    predictions = Predictions(actual, shares)
    nll = measures.negative_log_likelihood(logarithms, actual)
    confusion = measures.confusion_matrix(predictions.predicted, actual, classes)
    held_out = params.train.rows == "train"
    summary = summarise(predictions, nll, confusion, names, held_out=held_out)
    write_json(METRICS / "evaluation.json", summary)
    write_json(METRICS / "confusion_matrix.json", tabulate(confusion, names))
    write_probabilities(predictions)
    write_calibration(logits, actual)
    pairs = {"actual": actual, "predicted": predictions.predicted}
    table = pd.DataFrame({key: np.array(names)[codes] for key, codes in pairs.items()})
    write_table(PLOTS / "confusion.csv", [without_formulas(table)])
    draw(predictions, images, statistics, names, params.evaluate.gallery)
    told = f"{summary['errors']:,} of {summary['rows']:,} validation images misclassified"
    told += "" if held_out else " (NOT held out: trained on)"
    figures.draw_confusion(PLOTS / "confusion.png", confusion, told, names)
    curves = read_table(PLOTS / "training.csv", dict.fromkeys(CURVES, float), "what train writes")
    figures.draw_curves(PLOTS / "training.png", *(curves[name].tolist() for name in CURVES))
    told += f", accuracy {summary['accuracy']:.4f}"
    return f"read {MODEL} and {summary['rows']:,} images; {told}; wrote {METRICS} and {PLOTS}"
