"""report: a page that shows what the network gets wrong, and a card that says what it is.

    python -m stages report

Reads data/prepared/, data/probabilities.npy, data/suspects.csv, models/mlp.safetensors,
metrics/score.json, and training.csv, reliability.csv and calibration.csv in plots/; writes
report/index.html, and the model card, models/README.md.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from digits.data.classes import load_classes, name_classes
from digits.data.csv_files import read_table
from digits.data.tensors import PREPARED, PROBABILITIES, Statistics, map_array
from digits.errors import expecting
from digits.evaluation.label_errors import SUSPECTS, read_suspects
from digits.evaluation.measures import Predictions, by_class, confusion_matrix
from digits.params import load_params
from digits.report.page import Report, Tally, write_report
from digits.report.sheet import lay_out, load_part

PAGE, CARD = Path("report/index.html"), Path("models/README.md")
COUNTS, SCORE = PREPARED / "counts.json", Path("metrics/score.json")
NETWORK = Path("models/mlp.safetensors")
PLOTS = Path("plots")
COLUMNS = {
    "training": ["training_loss", "validation_loss", "validation_accuracy"],
    "reliability": [
        "rows",
        *(f"{kind}_{what}" for kind in ("raw", "scaled") for what in ("confidence", "accuracy")),
    ],
    "calibration": [
        *("temperature", "expected_calibration_error", "interval_low", "interval_high"),
        *("by_chance", "negative_log_likelihood"),
    ],
}
WRITTEN = "what the stage before it writes"


def read_numbers(path: Path, *keys: str) -> list[Any]:
    """Return what a JSON file has under these keys."""
    with expecting(path, WRITTEN, ValueError, KeyError, TypeError):
        content = json.loads(path.read_bytes())
        return [content[key] for key in keys]


def read_score() -> Tally:
    """Return how many test images have a known label, and how many of these are wrong."""
    [rows] = read_numbers(SCORE, "rows")
    return Tally(rows, *(read_numbers(SCORE, "errors") if rows else [0]))


def main() -> str:
    """Run the stage; return what it did, in words."""
    params, labels = load_params(), load_classes()
    names = name_classes(labels, params.data.class_names)
    statistics = Statistics.load(PREPARED / "statistics.json")
    suspects = read_suspects(SUSPECTS, labels)
    training, validation = (
        load_part(name, PREPARED / folder, len(labels), statistics, suspects)
        for name, folder in (("training", "train"), ("validation", "validation"))
    )
    shares = map_array(PROBABILITIES, np.float64, len(validation.labels), len(labels))
    answers = Predictions(validation.labels, shares)
    confusion = confusion_matrix(answers.predicted, answers.actual, len(labels))
    wrong = answers.misclassified().tolist()
    tables = {
        name: read_table(PLOTS / f"{name}.csv", dict.fromkeys(columns, float), WRITTEN)
        for name, columns in COLUMNS.items()
    }
    with expecting(NETWORK, "what train writes", SafetensorError):
        network = NETWORK.read_bytes()
        load(network)  # it holds tensors and nothing else
    rows, copies = read_numbers(COUNTS, "rows", "copies")
    report = Report(
        params,
        statistics,
        names,
        rows,
        copies,
        score=read_score(),
        validation=Tally(len(answers.actual), len(wrong)),
        doubted=sum(row in validation.suspects for row in wrong),
        confusion=confusion,
        classes=by_class(confusion, names),
        sheet=lay_out(statistics, (training, validation), answers, list(suspects)),
        curves=tables["training"],
        bins=tables["reliability"],
        calibration=tables["calibration"],
        network=network,
    )
    write_report(report, PAGE, CARD)
    return (
        f"read {PREPARED}, {PLOTS} and {SUSPECTS}; {report.doubted} of {len(wrong)} misclassified "
        f"images have a label in doubt; wrote {CARD} and {PAGE}, {PAGE.stat().st_size / 1e6:.1f} MB"
    )
