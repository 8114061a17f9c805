"""report: what can be shown and given away: a page of what the network gets wrong, and the network.

Beside the network as one file for inference lies a card that says what it is.
"""

from hashlib import md5
from pathlib import Path

import numpy as np
import pandas as pd

from digits.data.classes import load_classes, name_classes
from digits.data.csv_files import read_table
from digits.data.tensors import PREPARED, PROBABILITIES, Statistics, map_array, map_pixels
from digits.evaluation.label_errors import SUSPECTS, read_suspects
from digits.evaluation.measures import Predictions, confusion_matrix
from digits.files import replacing
from digits.network.model import MLP, MODEL, load_model
from digits.network.recogniser import RECOGNISER, Description, Recogniser
from digits.params import Params, load_params, load_yaml, name_recipe
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


def write_recogniser(params: Params) -> Recogniser:
    """Write the network that train wrote, with all that it takes to answer images; return it."""
    names = name_classes(load_classes(), params.data.class_names)
    statistics = Statistics.load(PREPARED / "statistics.json")
    networks = load_model(MODEL, statistics.pixels, len(names))
    # Of rows that were trained on, nothing is to be learnt about others.
    held_out = params.train.rows == "train"
    temperature = read_plot("calibration")["temperature"].iloc[-1] if held_out else 1.0
    description = Description(
        widths=(statistics.pixels, *params.train.widths, len(names)),
        networks=len(networks),
        recipe=name_recipe(params),
        classes=names,
        statistics=statistics,
        views=params.predict,
        temperature=temperature,
    )
    recogniser = Recogniser([MLP.of(network) for network in networks], description)
    with replacing(RECOGNISER) as temporary:
        temporary.write_bytes(recogniser.encode())
    return recogniser


def read_plot(name: str) -> pd.DataFrame:
    """Return the numbers of a table in plots/."""
    return read_table(PLOTS / f"{name}.csv", dict.fromkeys(COLUMNS[name].split(), float), WRITTEN)


def main() -> str:
    """Run the stage; return what it did, in words."""
    params, labels = load_params(), load_classes()
    recogniser = write_recogniser(params)
    statistics = recogniser.description.statistics
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
    counts, score = (load_yaml(path, WRITTEN) for path in (PREPARED / "counts.json", SCORE))
    report = Report(
        params,
        statistics,
        recogniser.description.classes,
        counts["rows"],
        counts["copies"],
        score=Tally(score["rows"], score.get("errors", 0)),
        validation=Tally(len(actual), len(wrong)),
        doubted=int(doubted),
        confusion=confusion_matrix(answers.predicted, actual, len(labels)),
        sheet=lay_out(parts, answers, suspects),
        tables={name: read_plot(name) for name in COLUMNS},
        recogniser=recogniser,
        logits=recogniser.answer(map_pixels(PREPARED / "test", statistics.pixels)[:ANSWERED]),
        first_line=counts["first_line"]["labelled"],
        md5=md5(MODEL.read_bytes(), usedforsecurity=False).hexdigest(),
    )
    write_report(report, PAGE, CARD)
    told = f"{doubted} of {len(wrong)} misclassified images have a label in doubt"
    return f"read {PREPARED}, {PLOTS} and {SUSPECTS}; {told}; wrote {RECOGNISER}, {CARD} and {PAGE}"
