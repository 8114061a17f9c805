"""compare: whether one revision's network is better than another's, or only luckier.

    python -m proofs.compare REV
    python -m proofs.compare REV --to OTHER

Reads plots/confusion.csv of the revision and of the other (by default that of the working tree):
what each network made of every validation row. Both must be of the same rows.
"""

import io
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.comparison import Comparison, compare
from digits.errors import InputError, expecting, report
from digits.params import CLASSES
from digits.tables import IntegerTable
from proofs.repository import find_commit, git

ANSWERS = Path("plots/confusion.csv")
COLUMNS = ["actual", "predicted"]


def read_answers(revision: str | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return actual and predicted classes, shape (rows,), at a revision or in the working tree.

    Raises:
        InputError: there is no such revision, or no such table in it.
    """
    if revision is None:
        name = str(ANSWERS)
        with expecting(ANSWERS, "what evaluate writes"):
            content = ANSWERS.read_bytes()
    else:
        name = f"{revision}:{ANSWERS}"
        content = git("show", f"{find_commit(revision)}:{ANSWERS}")
    table = IntegerTable(Path(name), io.BytesIO(content))
    if table.columns != COLUMNS:
        raise InputError(f"{name}: row 1: {','.join(table.columns)!r}; expected 'actual,predicted'")
    actual, predicted = np.concatenate(list(table.blocks(np.full(2, CLASSES - 1)))).T
    return actual, predicted


def check_same_rows(before: NDArray[np.int64], after: NDArray[np.int64], names: list[str]) -> None:
    """Raise an InputError unless both tables have the same labels in the same order."""
    if len(before) != len(after):
        raise InputError(
            f"{names[1]}: {len(after):,} validation rows, and {len(before):,} in {names[0]}; "
            "expected the same rows"
        )
    if differing := np.flatnonzero(before != after).tolist():
        row = differing[0]
        raise InputError(
            f"{names[1]}: row {row + 2}: actual class {after[row]}, and {before[row]} in "
            f"{names[0]}; expected the same validation rows (another split?)"
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
    actual, before = read_answers(arguments.revision)
    same, after = read_answers(arguments.to)
    check_same_rows(actual, same, [arguments.revision, arguments.to or "the working tree"])
    print_changes(actual, before, after)
    print(describe(compare(actual, before, after)))


if __name__ == "__main__":
    report(main)
