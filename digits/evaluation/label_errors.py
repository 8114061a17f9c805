"""Label errors: images whose label is probably not what they show, by what networks say of them.

The networks never saw the labels in question: each answers the rows that it was not trained on.
Rows are ranked by margin, one of the orders of confident learning (Northcutt, Jiang and Chuang
2021, "Confident learning: estimating uncertainty in dataset labels").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.answers import digests
from digits.data.classes import UNKNOWN, encode
from digits.data.csv_files import read_table, write_table
from digits.data.tensors import BLOCK, Statistics
from digits.errors import InputError, shorten

SUSPECTS = Path("data/suspects.csv")
WRITTEN = "what `make labels` writes"
_LABELS = ("given", "suggested")
_COLUMNS = {
    "sha256": str,
    "given": str,
    "suggested": str,
    "given_probability": float,
    "suggested_probability": float,
}


@dataclass(frozen=True)
class Suspect:
    """An image whose label is in doubt.

    Attributes:
        sha256: of its pixels as bytes, in hexadecimal.
        given: the class that its label names.
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


def write_suspects(path: Path, suspects: Iterable[Suspect], classes: Sequence[str]) -> None:
    """Write suspects as a table, the most doubtful first, with labels for classes."""
    table = pd.DataFrame(map(asdict, suspects), columns=list(_COLUMNS))
    for column in _LABELS:
        table[column] = [classes[code] for code in table[column]]
    write_table(path, [table])


def read_suspects(path: Path, classes: Sequence[str]) -> dict[str, Suspect]:
    """Return what `write_suspects` wrote, by digest, in its order, but for labels of other classes.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    table = read_table(path, _COLUMNS, WRITTEN, least=0)
    shares = table[["given_probability", "suggested_probability"]]
    right = table["sha256"].str.fullmatch("[0-9a-f]{64}") & (table["given"] != table["suggested"])
    for row in np.flatnonzero(~(right & ((shares >= 0) & (shares <= 1)).all(axis=1)))[:1].tolist():
        told = shorten(table.iloc[row].tolist())
        raise InputError(f"{path}: row {row + 2}: {told}; expected {WRITTEN}")
    for column in _LABELS:
        table[column] = encode(table[column], classes)
    known = table[(table[list(_LABELS)] != UNKNOWN).all(axis=1)]
    suspects = (Suspect(*row) for row in known.itertuples(index=False))
    return {suspect.sha256: suspect for suspect in suspects}


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
