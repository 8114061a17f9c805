"""Label errors: images whose label is probably not what they show, by what networks say of them.

Rows are ranked by margin, one of the orders of confident learning (Northcutt, Jiang and Chuang
2021, "Confident learning: estimating uncertainty in dataset labels").
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import UNKNOWN, encode
from digits.data.csv_files import read_table, write_table

SUSPECTS = Path("data/suspects.csv")
_CLASSES = ["given", "suggested"]  # labels in the file


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
    """Return the rows, the one whose label is most in doubt first, and each one's likeliest other.

    Probabilities, shape (rows, classes), are of networks that were not trained on the row.
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
    table[_CLASSES] = table[_CLASSES].map(lambda code: classes[code])
    write_table(path, table)


def read_suspects(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """Return what `write_suspects` wrote, else an InputError; leave out labels of other classes."""
    columns = Suspect.__annotations__ | dict.fromkeys(_CLASSES, str)
    table = read_table(path, columns, "what `make study STUDY=labels` writes", least=0)
    for column in _CLASSES:
        table[column] = encode(table[column], classes)
    return table[(table[_CLASSES] != UNKNOWN).all(axis=1)]
