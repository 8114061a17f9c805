"""Label errors: images whose label is probably not what they show, by what networks say of them.

The networks never saw the labels in question: each answers the rows that it was not trained on.
Rows are ranked by margin, one of the orders of confident learning (Northcutt, Jiang and Chuang
2021, "Confident learning: estimating uncertainty in dataset labels").
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.answers import digests
from digits.errors import expecting, shorten
from digits.files import write_csv
from digits.tensors import BLOCK, Statistics

SUSPECTS = Path("labels/suspects.csv")
WRITTEN = "what `make labels` writes"


@dataclass(frozen=True)
class Suspect:
    """An image whose label is in doubt.

    Attributes:
        sha256: of its pixels as bytes, in hexadecimal.
        given: its label.
        suggested: the likeliest other class.
        given_probability: of the label, from 0 to 1.
        suggested_probability: of the other class, from 0 to 1.
    """

    sha256: str
    given: int
    suggested: int
    given_probability: float
    suggested_probability: float


def rank(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows in order of doubt about their labels, and the likeliest other class of each.

    The most doubtful is first.

    Args:
        probabilities: of networks that were not trained on the row, shape (rows, classes).
        labels: shape (rows,).
    """
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    margins = probabilities[rows, labels] - others[rows, suggested]
    return np.argsort(margins, kind="stable"), suggested


def write_suspects(path: Path, suspects: Iterable[Suspect]) -> None:
    """Write suspects as a table, the most doubtful first."""
    columns = [field.name for field in fields(Suspect)]
    write_csv(path, columns, ([getattr(one, name) for name in columns] for one in suspects))


def read_suspects(path: Path) -> dict[str, Suspect]:
    """Return what `write_suspects` wrote, by digest, in its order.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    damaged = (csv.Error, ValueError, TypeError, KeyError)
    with expecting(path, WRITTEN, *damaged), path.open(encoding="ascii", newline="") as file:
        reader = csv.DictReader(file)
        suspects = [_parse(row, reader.line_num) for row in reader]
    return {suspect.sha256: suspect for suspect in suspects}


def _parse(row: dict[str, str], number: int) -> Suspect:
    """Return the suspect of a row; raise ValueError, KeyError or TypeError where it is none."""
    suspect = Suspect(
        row["sha256"],
        int(row["given"]),
        int(row["suggested"]),
        float(row["given_probability"]),
        float(row["suggested_probability"]),
    )
    shares = suspect.given_probability, suspect.suggested_probability
    known = re.fullmatch("[0-9a-f]{64}", suspect.sha256) and suspect.given != suspect.suggested
    if (
        not known
        or min(suspect.given, suspect.suggested) < 0
        or not all(0 <= one <= 1 for one in shares)
    ):
        raise ValueError(f"row {number}: {shorten(list(row.values()))}")
    return suspect


def locate(
    suspects: Mapping[str, Suspect],
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    statistics: Statistics,
) -> dict[int, Suspect]:
    """Return the suspects among some rows, by their place, where the label is still the given one.

    Args:
        suspects: by digest: they are known by their pixels, wherever they lie.
        images: shape (rows, pixels), normalised.
        labels: shape (rows,).
        statistics: what the images were normalised with.
    """
    found = {}
    for start in range(0, len(images) if suspects else 0, BLOCK):
        pixels = statistics.restore(images[start : start + BLOCK])
        for place, digest in enumerate(digests(pixels), start):
            suspect = suspects.get(digest)
            if suspect and suspect.given == labels[place]:
                found[place] = suspect
    return found
