"""compare: whether one revision's network is better than another's, or only luckier.

Reads plots/confusion.csv of both: what each network made of every validation row. Both must be of
the same rows, and trained on none of them, as dvc.lock tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.data.classes import sort_classes
from digits.data.csv_files import read_table
from digits.errors import InputError
from digits.evaluation.comparison import compare
from digits.params import PARAMS, leaves
from tools.project import JUDGED, WORKING_TREE, files_of, read_recorded

PREDICTIONS = Path("plots/confusion.csv")
COLUMNS = ["actual", "predicted"]
WRITTEN = "what evaluate writes: the names of two classes in each row"


@dataclass(frozen=True)
class Predicted:
    """Names of classes, both of shape (rows,), by a revision's network and in truth.

    `origin` is what the rows were drawn from, and how; `held_out` whether none was trained on.
    """

    name: str
    origin: object
    held_out: bool
    actual: NDArray[np.str_]
    predicted: NDArray[np.str_]


def read_predictions(revision: str | None) -> Predicted:
    """Read the predictions of a revision, or of the working tree if it is None."""
    name = revision or WORKING_TREE
    with files_of(revision) as folder:
        columns = dict.fromkeys(COLUMNS, str)
        table = read_table(folder / PREDICTIONS, columns, WRITTEN, f"{name}:{PREDICTIONS}")
        stages = read_recorded(folder, name, JUDGED)["stages"]
    held_out = _params(stages, "evaluate").get("train.rows", "train") == "train"
    actual, predicted = (table[column].to_numpy(np.str_) for column in COLUMNS)
    return Predicted(name, _origin(stages), held_out, actual, predicted)


def _origin(stages: Mapping[str, Any]) -> object:
    """Return the hash of the labelled images, and the params of the split.

    The hash of the validation rows themselves would change with the form in which they are stored.
    """
    params = _params(stages, "prepare")
    train = dict(leaves("", params)).get("data.train")  # commits before listed the section `data`
    dependencies = stages.get("prepare", {}).get("deps", [])
    hashes = [one["md5"] for one in dependencies if one["path"] == train]
    # And what is done to their pixels does not count.
    return hashes, {**params.get("prepare", {}), "straighten": None}


def _params(stages: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """Return the params that a stage ran with, by dvc.lock."""
    found: dict[str, Any] = stages.get(stage, {}).get("params", {}).get(str(PARAMS), {})
    return found


def check_same_rows(before: Predicted, after: Predicted) -> None:
    """Raise an InputError unless both are of the same images and labels, and trained on none."""
    rows, others = len(after.actual), len(before.actual)
    if rows != others:
        told = f"{rows:,} validation rows, and {others:,} in {before.name}; expected the same rows"
        raise InputError(f"{after.name}: {told}")
    if before.origin != after.origin or (before.actual != after.actual).any():
        expected = "expected the same split of the same data, and classes named alike"
        raise InputError(f"{after.name}: other validation rows than in {before.name}; {expected}")
    for one in (before, after):
        if not one.held_out:
            told = "train.rows = 'all': trained on its validation rows; expected them held out"
            raise InputError(f"{one.name}: {told}")


def print_changes(before: Predicted, after: Predicted) -> None:
    """Print, for each class, how many rows it has, and how many were fixed and broken."""
    names = sort_classes(np.unique(after.actual).tolist())
    width = max(map(len, ["class", *names]))
    print(f"{'class':{width}}   rows  errors before  after  fixed  broken")
    for name in names:
        rows = after.actual == name
        part = compare(after.actual[rows], before.predicted[rows], after.predicted[rows])
        was, now = part.fixed + part.both_wrong, part.broken + part.both_wrong
        print(f"{name:>{width}}  {part.rows:5}  {was:13}  {now:5}  {part.fixed:5}  {part.broken:6}")


def main(revision: str, to: str | None) -> None:
    """Compare a revision's network with that of another, or of the working tree."""
    before, after = read_predictions(revision), read_predictions(to)
    check_same_rows(before, after)
    print_changes(before, after)
    found = compare(after.actual, before.predicted, after.predicted)
    low, high = found.interval
    print(
        f"accuracy {found.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}): "
        f"{found.fixed} fixed, {found.broken} broken\n"
        f"McNemar's exact test: p = {found.p_value:.2g}\n"
        f"{found.verdict} on these {found.rows:,} validation rows"
    )
