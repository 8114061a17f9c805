"""report: a page of what the network gets wrong, and a card that says what it is."""

from hashlib import md5
from pathlib import Path

import numpy as np
import pandas as pd

from digits.data.classes import load_classes
from digits.data.csv_files import read_table
from digits.data.predictions import VALIDATION, read_probabilities
from digits.data.tensors import PREPARED, map_pixels
from digits.evaluation.label_errors import SUSPECTS, read_suspects
from digits.evaluation.measures import Predictions, confusion_matrix
from digits.params import load_params, load_yaml
from digits.recogniser import RECOGNISER, Recogniser
from digits.report.page import Report, Tally, write_report
from digits.report.sheet import lay_out, load_part, locate

PAGE, CARD = Path("report/index.html"), Path("models/README.md")
SCORE, PLOTS = Path("metrics/score.json"), Path("plots")
COLUMNS = {
    "training": "training_loss validation_loss validation_accuracy",
    "reliability": "rows raw_confidence raw_accuracy scaled_confidence scaled_accuracy",
    "calibration": "temperature expected_calibration_error negative_log_likelihood",
}
WRITTEN = "what the stage before it writes"
ANSWERED = 1000  # test images, by whose logits any runtime can be checked


def read_plot(name: str) -> pd.DataFrame:
    """Return the numbers of a table in plots/."""
    return read_table(PLOTS / f"{name}.csv", dict.fromkeys(COLUMNS[name].split(), float), WRITTEN)


def main() -> str:
    """Run the stage; return what it did, in words."""
    params, labels, recogniser = load_params(), load_classes(), Recogniser.load()
    names, statistics = recogniser.description.classes, recogniser.description.statistics
    parts = {
        name: load_part(PREPARED / folder, len(labels), statistics)
        for name, folder in (("training", "train"), ("validation", "validation"))
    }
    suspects = locate(read_suspects(SUSPECTS, labels), parts)
    actual = parts["validation"].labels
    answers = Predictions(actual, read_probabilities(VALIDATION, names, len(actual)))
    wrong = answers.misclassified()
    doubted = np.isin(wrong, suspects["place"][suspects["part"] == "validation"]).sum()
    counts, score = (load_yaml(path, WRITTEN) for path in (PREPARED / "counts.json", SCORE))
    report = Report(
        params,
        statistics,
        names,
        counts["rows"],
        counts["copies"],
        score=Tally(score["rows"], score.get("errors", 0)),
        validation=Tally(len(actual), len(wrong)),
        doubted=int(doubted),
        confusion=confusion_matrix(actual, answers.predicted, len(labels)),
        sheet=lay_out(parts, answers, suspects),
        tables={name: read_plot(name) for name in COLUMNS},
        recogniser=recogniser,
        logits=recogniser.answer(map_pixels(PREPARED / "test", statistics.pixels)[:ANSWERED]),
        first_line=counts["first_line"]["labelled"],
        md5=md5(RECOGNISER.read_bytes(), usedforsecurity=False).hexdigest(),
    )
    write_report(report, PAGE, CARD)
    told = f"{doubted} of {len(wrong)} misclassified images have a label in doubt"
    return f"read {PREPARED}, {PLOTS} and {SUSPECTS}; {told}; wrote {CARD} and {PAGE}"
