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
from digits.evaluation.measures import Predictions, confusion_matrix
from digits.params import load_params
from digits.report.page import Report, Tally, write_report
from digits.report.sheet import lay_out, load_part, locate

PAGE, CARD = Path("report/index.html"), Path("models/README.md")
COUNTS, SCORE = PREPARED / "counts.json", Path("metrics/score.json")
NETWORK, PLOTS = Path("models/mlp.safetensors"), Path("plots")
COLUMNS = {
    "training": "training_loss validation_loss validation_accuracy",
    "reliability": "rows raw_confidence raw_accuracy scaled_confidence scaled_accuracy",
    "calibration": "temperature expected_calibration_error interval_low interval_high by_chance "
    "negative_log_likelihood",
}
WRITTEN = "what the stage before it writes"


def read_numbers(path: Path, *keys: str) -> list[Any]:
    """Return what a JSON file has under these keys."""
    with expecting(path, WRITTEN, ValueError, KeyError, TypeError):
        content = json.loads(path.read_bytes())
        return [content[key] for key in keys]


def main() -> str:
    """Run the stage; return what it did, in words."""
    params, labels = load_params(), load_classes()
    names = name_classes(labels, params.data.class_names)
    statistics = Statistics.load(PREPARED / "statistics.json")
    parts = {
        name: load_part(PREPARED / folder, len(labels), statistics)
        for name, folder in (("training", "train"), ("validation", "validation"))
    }
    suspects = locate(read_suspects(SUSPECTS, labels), parts, statistics)
    actual = parts["validation"].labels
    shares = map_array(PROBABILITIES, np.float64, len(actual), len(labels))
    answers = Predictions(actual, shares)
    wrong = answers.misclassified()
    doubted = np.isin(wrong, suspects["place"][suspects["part"] == "validation"]).sum()
    tables = {
        name: read_table(PLOTS / f"{name}.csv", dict.fromkeys(columns.split(), float), WRITTEN)
        for name, columns in COLUMNS.items()
    }
    with expecting(NETWORK, "what train writes", SafetensorError):
        network = NETWORK.read_bytes()
        load(network)  # it holds tensors and nothing else
    rows, copies = read_numbers(COUNTS, "rows", "copies")
    [scored] = read_numbers(SCORE, "rows")
    report = Report(
        params,
        statistics,
        names,
        rows,
        copies,
        score=Tally(scored, *(read_numbers(SCORE, "errors") if scored else [0])),
        validation=Tally(len(actual), len(wrong)),
        doubted=int(doubted),
        confusion=confusion_matrix(answers.predicted, actual, len(labels)),
        sheet=lay_out(statistics, parts, answers, suspects),
        tables=tables,
        network=network,
    )
    write_report(report, PAGE, CARD)
    return (
        f"read {PREPARED}, {PLOTS} and {SUSPECTS}; {doubted} of {len(wrong)} misclassified "
        f"images have a label in doubt; wrote {CARD} and {PAGE}, {PAGE.stat().st_size / 1e6:.1f} MB"
    )
