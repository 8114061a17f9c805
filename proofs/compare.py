"""compare: whether one revision's network is better than another's, or only luckier.

    python -m proofs.compare REV
    python -m proofs.compare REV --to OTHER

Reads plots/confusion.csv of the revision and of the other (by default that of the working tree):
what each network made of every validation row. Both must be of the same rows, and trained on none
of them, as dvc.lock tells.
"""

import io
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.comparison import Comparison, compare
from digits.errors import InputError, expecting, report
from digits.params import CLASSES, PARAMS
from digits.tables import IntegerTable
from digits.tensors import PREPARED
from proofs.ledger import LOCK, outputs, read_lock
from proofs.repository import find_commit, git

PREDICTIONS = Path("plots/confusion.csv")
COLUMNS = ["actual", "predicted"]
VALIDATION = str(PREPARED / "validation")


@dataclass(frozen=True)
class Predicted:
    """What a revision's network made of its validation rows.

    Attributes:
        name: the revision, in messages.
        rows: the hash of the validation images and labels, in dvc.lock.
        held_out: whether the network was not trained on them.
        actual: classes, shape (rows,).
        predicted: classes, shape (rows,).
    """

    name: str
    rows: str
    held_out: bool
    actual: NDArray[np.int64]
    predicted: NDArray[np.int64]


def read_predictions(revision: str | None) -> Predicted:
    """Read the predictions of a revision, or of the working tree.

    Raises:
        InputError: there is no such revision, or no such table in it.
    """
    name = revision or "the working tree"
    where = f"{revision}:" if revision else ""
    table = IntegerTable(Path(f"{where}{PREDICTIONS}"), io.BytesIO(_read(revision, PREDICTIONS)))
    if table.columns != COLUMNS:
        found = ",".join(table.columns)
        raise InputError(f"{table.path}: row 1: {found!r}; expected 'actual,predicted'")
    actual, predicted = np.concatenate(list(table.blocks(np.full(2, CLASSES - 1)))).T
    lock = read_lock(_read(revision, LOCK).decode(), f"{where}{LOCK}")
    rows = [output.md5 for output in outputs(lock) if output.path == VALIDATION]
    stages = lock["stages"]
    params = stages.get("evaluate", {}).get("params", {}).get(str(PARAMS), {})
    held_out = params.get("train.rows", "train") == "train"
    return Predicted(name, "".join(rows), held_out, actual, predicted)


def _read(revision: str | None, path: Path) -> bytes:
    if revision is None:
        with expecting(path, "a result of the pipeline"):
            return path.read_bytes()
    return git("show", f"{find_commit(revision)}:{path}")


def check_same_rows(before: Predicted, after: Predicted) -> None:
    """Raise an InputError unless both are of the same images and labels, and trained on none."""
    counts = len(before.actual), len(after.actual)
    if counts[0] != counts[1]:
        raise InputError(
            f"{after.name}: {counts[1]:,} validation rows, and {counts[0]:,} in {before.name}; "
            "expected the same rows"
        )
    if before.rows != after.rows or (before.actual != after.actual).any():
        raise InputError(
            f"{after.name}: other validation rows than in {before.name}; "
            "expected the same split of the same data, normalised alike"
        )
    for predicted in (before, after):
        if not predicted.held_out:
            raise InputError(
                f"{predicted.name}: train.rows = 'all': trained on its validation rows; "
                "expected them held out"
            )


def print_changes(
    actual: NDArray[np.int64], before: NDArray[np.int64], after: NDArray[np.int64]
) -> None:
    """Print, for each class, how many rows it has, and how many were fixed and broken."""
    print("class   rows  errors before  after  fixed  broken")
    for label in np.unique(actual).tolist():
        rows = actual == label
        part = compare(actual[rows], before[rows], after[rows])
        was, now = part.fixed + part.both_wrong, part.broken + part.both_wrong
        print(f"{label:5}  {part.rows:5}  {was:13}  {now:5}  {part.fixed:5}  {part.broken:6}")


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
    report(main)
