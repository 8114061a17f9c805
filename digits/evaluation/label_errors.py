"""Label errors: images whose label is probably not what they show, by what networks say of them.

The networks never saw the labels in question: each answers the rows that it was not trained on.
Rows are ranked by margin, one of the orders of confident learning (Northcutt, Jiang and Chuang
2021, "Confident learning: estimating uncertainty in dataset labels").
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import UNKNOWN, encode
from digits.data.csv_files import read_table, write_table

SUSPECTS = Path("data/suspects.csv")
WRITTEN = "what `make labels` writes"
_LABELS = ["given", "suggested"]
_SHARES = ["given_probability", "suggested_probability"]


class Suspect(NamedTuple):
    """An image, by the SHA-256 of its pixels; its class by label, and the likeliest other class."""

    sha256: str
    given: int
    suggested: int
    given_probability: float
    suggested_probability: float


def rank(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows in order of doubt about their labels, and the likeliest other class of each.

    The most doubtful is first; probabilities, shape (rows, classes), are of networks that were not
    trained on the row.
    """
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    margins = probabilities[rows, labels] - others[rows, suggested]
    return np.argsort(margins, kind="stable"), suggested


def write_suspects(path: Path, suspects: Iterable[Suspect], classes: Sequence[str]) -> None:
    """Write suspects as a table, the most doubtful first, with labels for classes."""
    table = pd.DataFrame(suspects, columns=list(Suspect._fields))
    for column in _LABELS:
        table[column] = [classes[code] for code in table[column]]
    write_table(path, table)


def read_suspects(path: Path, classes: Sequence[str]) -> dict[str, Suspect]:
    """Return what `write_suspects` wrote, by digest, in its order, but for labels of other classes.

    Raises an `InputError` where there is no such file, or it holds something else.
    """
    columns = {"sha256": str, **dict.fromkeys(_LABELS, str), **dict.fromkeys(_SHARES, float)}
    table = read_table(path, columns, WRITTEN, least=0)
    for column in _LABELS:
        table[column] = encode(table[column], classes)
    known = table[(table[_LABELS] != UNKNOWN).all(axis=1)]
    suspects = (Suspect(*row) for row in known.itertuples(index=False))
    return {suspect.sha256: suspect for suspect in suspects}


def locate(
    suspects: Mapping[str, Suspect], digests: Iterable[str], labels: NDArray[np.int64]
) -> dict[int, Suspect]:
    """Return the suspects among rows, by place, whose label is still the given one."""
    found = ((place, suspects.get(digest)) for place, digest in enumerate(digests))
    return {place: one for place, one in found if one and one.given == labels[place]}
