"""report: a page that shows what the network gets wrong, and a card that says what it is."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from digits.data.classes import load_classes, name_classes
from digits.data.csv_files import read_table
from digits.data.tensors import PREPARED, PROBABILITIES, Statistics, map_array
from digits.errors import expecting
from digits.evaluation.label_errors import SUSPECTS, read_suspects
from digits.evaluation.measures import Predictions, confusion_matrix
from digits.params import load_params, load_yaml
from digits.report.page import Report, Tally, write_report
from digits.report.sheet import lay_out, load_part, locate

PAGE, CARD = Path("report/index.html"), Path("models/README.md")
SCORE, NETWORK = Path("metrics/score.json"), Path("models/mlp.safetensors")
PLOTS = Path("plots")
COLUMNS = {
    "training": "training_loss validation_loss validation_accuracy",
    "reliability": "rows raw_confidence raw_accuracy scaled_confidence scaled_accuracy",
    "calibration": "temperature expected_calibration_error negative_log_likelihood",
}
WRITTEN = "what the stage before it writes"


def main() -> str:
    """Run the stage; return what it did, in words."""
    params, labels = load_params(), load_classes()
    statistics = Statistics.load(PREPARED / "statistics.json")
    parts = {
        name: load_part(PREPARED / folder, len(labels), statistics)
        for name, folder in (("training", "train"), ("validation", "validation"))
    }
    suspects = locate(read_suspects(SUSPECTS, labels), parts)
    actual = parts["validation"].labels
    shares = map_array(PROBABILITIES, np.float64, len(actual), len(labels))
    answers = Predictions(actual, shares)
    wrong = answers.misclassified()
    doubted = np.isin(wrong, suspects["place"][suspects["part"] == "validation"]).sum()
    with expecting(NETWORK, WRITTEN, SafetensorError):
        load(network := NETWORK.read_bytes())  # it holds tensors and nothing else
    counts, score = (load_yaml(path, WRITTEN) for path in (PREPARED / "counts.json", SCORE))
    report = Report(
        params,
        statistics,
        name_classes(labels, params.data.class_names),
        counts["rows"],
        counts["copies"],
        score=Tally(score["rows"], score.get("errors", 0)),
        validation=Tally(len(actual), len(wrong)),
        doubted=int(doubted),
        confusion=confusion_matrix(answers.predicted, actual, len(labels)),
        sheet=lay_out(parts, answers, suspects),
        tables={
            name: read_table(PLOTS / f"{name}.csv", dict.fromkeys(columns.split(), float), WRITTEN)
            for name, columns in COLUMNS.items()
        },
        network=network,
    )
    write_report(report, PAGE, CARD)
    told = f"{doubted} of {len(wrong)} misclassified images have a label in doubt"
    return f"read {PREPARED}, {PLOTS} and {SUSPECTS}; {told}; wrote {CARD} and {PAGE}"
