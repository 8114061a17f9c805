"""score: the submission held against the truth, as far as the truth is known.

    python -m stages score

Reads submission.csv, the CSV file that `data.test` names, its ids.csv and classes.json in
data/prepared, and data/mnist/answers.csv; writes metrics/score.json. The truth is that file's own
labels, if it has any; otherwise it is looked up by exact pixels, so that it is found for Kaggle's
test.csv as well, and for no image that is not MNIST's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Score:
    """How a submission did.

    Attributes:
        rows: images whose label is known.
        rows_without_answer: the others.
        errors: wrong labels among `rows`.
    """

    rows: int
    rows_without_answer: int
    errors: int

    @property
    def accuracy(self) -> float:
        """The share of right labels, from 0 to 1."""
        return (self.rows - self.errors) / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy."""
        return wilson_interval(self.rows - self.errors, self.rows)

    def summarise(self) -> dict[str, object]:
        """Return the scalars that `dvc metrics diff` compares; without rows, the counts alone."""
        if not self.rows:
            return asdict(self)
        low, high = self.interval
        interval = {"low": low, "high": high}
        return asdict(self) | {"accuracy": self.accuracy, "interval_95": interval}

    def describe(self) -> str:
        """Return the accuracy and its interval in words."""
        if not self.rows:
            return "no score"
        low, high = self.interval
        interval = f"95 % interval {low:.5f} to {high:.5f}"
        return f"accuracy {self.accuracy:.5f} ({interval}) on {self.rows:,} rows"


def find_truth(test: Path, answers: Path, classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each image in the CSV file `test`, `UNKNOWN` where there is no answer."""
    table = ImageTable(test, labelled=False)
    blocks = table.read()
    if table.columns.label is None:
        known = read_answers(answers)
        return np.concatenate([look_up(known, block.pixels, classes) for block in blocks])
    labels = pd.concat([block.labels for block in blocks], ignore_index=True)
    truth = encode(labels, classes)
    for place in np.flatnonzero(truth == UNKNOWN)[:1].tolist():
        told = f"{labels[place]!r}; expected one of {shorten(', '.join(classes))}"
        raise table.fault(table.columns.first_row + place, table.columns.label, told)
    return truth


def compare(predicted: NDArray[np.int64], truth: NDArray[np.int64]) -> Score:
    """Count right and wrong labels, both of shape (rows,)."""
    known = truth != UNKNOWN
    return Score(
        rows=int(known.sum()),
        rows_without_answer=int((~known).sum()),
        errors=int((predicted != truth)[known].sum()),
    )


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    classes = load_classes()
    truth = find_truth(Path(params.data.test), ANSWERS, classes)
    predicted = read_submission(SUBMISSION, read_ids(), classes)
    score = compare(predicted, truth)
    write_json(METRICS, score.summarise())
    return (
        f"read {SUBMISSION}; {score.describe()}; {score.rows_without_answer:,} rows without an "
        f"answer; wrote {METRICS}"
    )
