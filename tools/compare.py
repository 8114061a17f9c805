"""compare: whether one revision's network is better than another's, or only luckier.

    python -m tools.compare REV
    python -m tools.compare REV --to OTHER

Reads plots/confusion.csv of the revision and of the other (by default that of the working tree):
what each network made of every validation row. Both must be of the same rows, and trained on none
of them, as dvc.lock tells.
"""

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.data.csv_files import read_table
from digits.errors import InputError, run_command
from digits.evaluation.comparison import Comparison, compare
from digits.params import PARAMS, leaves
from tools.ledger import JUDGED, Lock, read_recorded
from tools.repository import files_of

PREDICTIONS = Path("plots/confusion.csv")
COLUMNS = ["actual", "predicted"]
WRITTEN = "what evaluate writes: the names of two classes in each row"


@dataclass(frozen=True)
class Predicted:
    """What a revision's network made of its validation rows.

    Attributes:
        name: the revision, in messages.
        origin: what the validation rows were drawn from, and how, as dvc.lock has it.
        held_out: whether the network was not trained on them.
        actual: names of classes, shape (rows,).
        predicted: names of classes, shape (rows,).
    """

    name: str
    origin: str
    held_out: bool
    actual: NDArray[np.str_]
    predicted: NDArray[np.str_]


def read_predictions(revision: str | None) -> Predicted:
    """Read the predictions of a revision, or of the working tree.

    Raises:
        InputError: there is no such revision, or no such table in it.
    """
    name = revision or "the working tree"
    path = Path(f"{name}:{PREDICTIONS}")
    with files_of(revision) as folder:
        table = read_table(folder / PREDICTIONS, dict.fromkeys(COLUMNS, str), WRITTEN, str(path))
        lock = read_recorded(folder, name, JUDGED)
    held_out = _params(lock, "evaluate").get("train.rows", "train") == "train"
    actual, predicted = (table[column].to_numpy(np.str_) for column in COLUMNS)
    return Predicted(name, _origin(lock), held_out, actual, predicted)


def _origin(lock: Lock) -> str:
    """Return the hash of the labelled images, and the params of the split.

    The hash of the validation rows themselves would change with the form in which they are stored.
    """
    params = _params(lock, "prepare")
    train = dict(leaves("", params)).get("data.train")  # commits before listed the section `data`
    dependencies = lock["stages"].get("prepare", {}).get("deps", [])
    hashes = [dependency["md5"] for dependency in dependencies if dependency["path"] == train]
    return repr((hashes, sorted(leaves("", params.get("prepare")))))


def _params(lock: Lock, stage: str) -> dict[str, Any]:
    """Return the params that a stage ran with."""
    found: dict[str, Any] = lock["stages"].get(stage, {}).get("params", {}).get(str(PARAMS), {})
    return found


def check_same_rows(before: Predicted, after: Predicted) -> None:
    """Raise an InputError unless both are of the same images and labels, and trained on none."""
    counts = len(before.actual), len(after.actual)
    if counts[0] != counts[1]:
        raise InputError(
            f"{after.name}: {counts[1]:,} validation rows, and {counts[0]:,} in {before.name}; "
            "expected the same rows"
        )
    if before.origin != after.origin or (before.actual != after.actual).any():
        raise InputError(
            f"{after.name}: other validation rows than in {before.name}; "
            "expected the same split of the same data, and classes named alike"
        )
    for predicted in (before, after):
        if not predicted.held_out:
            raise InputError(
                f"{predicted.name}: train.rows = 'all': trained on its validation rows; "
                "expected them held out"
            )


def print_changes(
    actual: NDArray[np.str_], before: NDArray[np.str_], after: NDArray[np.str_]
) -> None:
    """Print, for each class, how many rows it has, and how many were fixed and broken."""
    names = sorted(np.unique(actual).tolist(), key=place)
    width = max(map(len, ["class", *names]))
    print(f"{'class':{width}}   rows  errors before  after  fixed  broken")
    for name in names:
        rows = actual == name
        part = compare(actual[rows], before[rows], after[rows])
        was, now = part.fixed + part.both_wrong, part.broken + part.both_wrong
        print(f"{name:>{width}}  {part.rows:5}  {was:13}  {now:5}  {part.fixed:5}  {part.broken:6}")


def place(name: str) -> tuple[bool, int, str]:
    """Return what sorts numbers by their value, and after them other names by their letters."""
    return not name.isdecimal(), len(name) if name.isdecimal() else 0, name


def describe(found: Comparison) -> str:
    """Return the difference, its interval, the test and the verdict in words."""
    low, high = found.interval
    return (
        f"accuracy {found.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}): "
        f"{found.fixed} fixed, {found.broken} broken\n"
        f"McNemar's exact test: p = {found.p_value:.2g}\n"
        f"{found.verdict} on these {found.rows:,} validation rows"
    )


def main() -> None:
    """Compare two revisions."""
    parser = ArgumentParser(description="Is one revision's network better than another's?")
    parser.add_argument("revision", help="the one before")
    parser.add_argument("--to", help="the one after; by default, the working tree")
    arguments = parser.parse_args()
    before, after = read_predictions(arguments.revision), read_predictions(arguments.to)
    check_same_rows(before, after)
    print_changes(before.actual, before.predicted, after.predicted)
    print(describe(compare(before.actual, before.predicted, after.predicted)))


if __name__ == "__main__":
    run_command(main)
