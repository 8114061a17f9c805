"""score: the submission held against the truth, as far as the truth is known.

The truth is the test file's own labels, if it has any; otherwise it is looked up by exact pixels,
so that it is found for Kaggle's test.csv as well, and for no image that is not MNIST's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.answers import ANSWERS, look_up, read_answers
from digits.data.classes import UNKNOWN, encode, load_classes
from digits.data.image_table import ImageTable
from digits.data.submission import SUBMISSION, read_ids, read_submission
from digits.errors import shorten
from digits.evaluation.measures import wilson_interval
from digits.files import write_json
from digits.params import load_params

METRICS = Path("metrics/score.json")


def find_truth(test: Path, answers: Path, classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each image in the CSV file `test`, `UNKNOWN` where there is no answer."""
    table = ImageTable(test, labelled=False)
    blocks = table.read()
    if table.columns.label is None:
        known = read_answers(answers)
        return np.concatenate([look_up(known, block.pixels, classes) for block in blocks])
    labels = pd.concat([block.labels for block in blocks])
    truth, expected = encode(labels, classes), f"one of {shorten(', '.join(classes))}"
    table.refuse(table.columns.label, truth == UNKNOWN, labels, expected)
    return truth


def compare(predicted: NDArray[np.int64], truth: NDArray[np.int64]) -> dict[str, float]:
    """Count right and wrong labels, both of shape (rows,): accuracy, errors and rows."""
    known = truth != UNKNOWN
    rows, errors = int(known.sum()), int((predicted != truth)[known].sum())
    right = {"accuracy": (rows - errors) / rows, "errors": errors} if rows else {}
    unknown = {"rows_without_answer": len(truth) - rows} if rows < len(truth) else {}
    return right | {"rows": rows} | unknown


def describe(score: Mapping[str, float]) -> str:
    """Return the accuracy, and its 95 % interval, in words."""
    told = "no score"
    if rows := int(score["rows"]):
        low, high = wilson_interval(rows - score["errors"], rows)
        interval = f"95 % interval {low:.5f} to {high:.5f}"
        told = f"accuracy {score['accuracy']:.5f} ({interval}) on {rows:,} rows"
    unknown = score.get("rows_without_answer", 0)
    return f"{told}; {unknown:,} rows without an answer" if unknown else told


def main() -> str:
    """Run the stage; return what it did, in words."""
    params, classes = load_params(), load_classes()
    truth = find_truth(Path(params.data.test), ANSWERS, classes)
    score = compare(read_submission(SUBMISSION, read_ids(), classes), truth)
    write_json(METRICS, score)
    return f"read {SUBMISSION}; {describe(score)}; wrote {METRICS}"
