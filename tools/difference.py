"""diff, plots: how the project differs from a commit; by how much two contents of a file do."""

import csv
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from itertools import zip_longest
from operator import ne
from pathlib import Path

from dvc.cli import main as dvc

from digits.errors import InputError, shorten
from stages.score import METRICS as SCORE
from tools.project import JUDGED, WORKING_TREE, files_of, find_changed, find_commit, read_recorded

CURVES = Path("plots/training.csv")
HEADING = "The test, looked at when nothing is to be chosen any more:\n"
DRAWN = ".plots"
# Each decides the next: the first that differs is where to look.
_PARTS = ("data_sha256", "draws_sha256", "weights_sha256")


def describe(path: str, old: bytes, new: bytes) -> str:
    """Return by how much `new` differs from `old`, both contents of the file at a path."""
    try:
        before, after = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        differing = sum(map(ne, old, new))
        return f"{differing:,} of {len(old):,} bytes; there are {len(new):,} now"
    since = _first_difference(before, after) if path == str(CURVES) else ""
    pairs = enumerate(zip_longest(before, after, fillvalue=""), start=1)
    rows = [
        f"row {row}: {shorten(was)} became {shorten(now)}"
        for row, (was, now) in pairs
        if was != now
    ]
    first = rows[0] if rows else "ended otherwise"
    return f"{since}{len(rows):,} of {len(before):,} rows; {first}"


def _first_difference(before: Sequence[str], after: Sequence[str]) -> str:
    """Return from which epoch on two trainings differ, and in what first, as far as both tell."""
    epochs = zip(csv.DictReader(before), csv.DictReader(after), strict=False)
    for number, (was, now) in enumerate(epochs, start=1):
        for column in (*_PARTS, *was):
            if column in was and column in now and was[column] != now[column]:
                return f"from epoch {number} on: {column.removesuffix('_sha256')}; "
    return ""


def diff(revision: str) -> None:
    """Say how metrics and training differ from those of a revision."""
    commit = _check_both(revision)
    rows = _run_dvc("metrics", "diff", "--md", commit).strip().splitlines()
    test = sorted(row for row in rows[2:] if f"| {SCORE} " in row)
    validation = sorted(set(rows[2:]) - set(test))  # DVC's order changes
    for heading, part in (("", validation), (HEADING, test)):
        if part:
            print(heading, *rows[:2], *part, sep="\n", end="\n\n")
    if not rows[2:]:
        print(f"No metric differs from those of {revision}.", end="\n\n")
    with files_of(commit) as folder:
        kept = (folder / CURVES, CURVES)
        old, new = (path.read_bytes() if path.exists() else b"" for path in kept)
    if old != new:
        print(f"{CURVES}: {describe(str(CURVES), old, new)}")


def plots(revision: str) -> None:
    """Draw the plots beside those of a revision, and list the pictures that differ."""
    commit = _check_both(revision)
    _run_dvc("plots", "diff", commit, "--out", DRAWN)
    for path in find_changed(commit, "plots"):
        print(f"- `{path}` differs")
    print(f"Now: open {DRAWN}/index.html, which needs a network; pictures in plots/ need none")


def _check_both(revision: str) -> str:
    """Return the commit of a revision, if its results and those here are of their own code."""
    commit = find_commit(revision)
    for name in (revision, WORKING_TREE):
        with files_of(name) as folder:
            read_recorded(folder, name, JUDGED)
    return commit


def _run_dvc(*arguments: str) -> str:
    """Return what a command of DVC prints."""
    with redirect_stdout(StringIO()) as printed:
        status = dvc([*arguments])
    if status:
        raise InputError(f"dvc {' '.join(arguments)}: status {status}; expected 0: see above")
    return printed.getvalue()
