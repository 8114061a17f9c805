"""Submissions, in the form of Kaggle: the id of each image to predict, and a label.

The columns are ImageId, counted from 1, and Label, as the Digit Recognizer has them, unless the
images bring ids: then they are named as that set's, such as id and label.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import UNKNOWN, encode
from digits.data.csv_files import read_table, write_table
from digits.data.tensors import PREPARED, WRITTEN
from digits.errors import InputError, expecting, shorten

SUBMISSION = Path("submission.csv")
IDS = PREPARED / "ids.csv"


def count_ids(rows: int) -> "pd.Series[str]":
    """Return the ids of images that bring none, shape (rows,): they are counted, from 1."""
    return pd.Series(range(1, rows + 1), name="ImageId").astype(str)


def read_ids(path: Path = IDS) -> "pd.Series[str]":
    """Return the ids of the images to predict, shape (rows,), under the name of their column.

    An `InputError` tells if there is no such file, or it is none that prepare wrote.
    """
    with expecting(path, WRITTEN, ValueError), path.open(encoding="utf-8") as file:
        name = file.readline().strip()
    ids: pd.Series[str] = read_table(path, {name: str}, WRITTEN)[name]
    return ids


def _columns(ids: "pd.Series[str]") -> list[str]:
    name = str(ids.name)
    return [name, "label" if name.islower() else "Label"]


def write_submission(path: Path, ids: "pd.Series[str]", labels: Iterable[str]) -> None:
    """Write a label for each image, in the order of the ids, as Kaggle wants it."""
    write_table(path, pd.DataFrame(zip(ids, labels, strict=True), columns=_columns(ids)))


def read_submission(path: Path, ids: "pd.Series[str]", classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each image of a submission, shape (rows,), given the ids in order.

    An `InputError` tells if a column, an id, a label or the number of rows is another.
    """
    names = _columns(ids)
    expected = f"the columns {' and '.join(names)}, an id and a label in each row"
    table = read_table(path, dict.fromkeys(names, str), expected, least=0)
    rows = len(table)
    if rows != len(ids):
        raise InputError(f"{path}: row {rows + 1}: the last of {rows}; expected {len(ids)}")
    codes = encode(table[names[1]], classes)
    wrong = np.stack([table[names[0]].to_numpy() != ids.to_numpy(), codes == UNKNOWN], axis=1)
    for row, column in np.argwhere(wrong)[:1].tolist():
        where, cell = f"row {row + 2}, column {column + 1}", shorten(table.iloc[row, column])
        expected = (ids.iloc[row], f"one of {', '.join(classes)}"[:60])[column]
        raise InputError(f"{path}: {where} ({names[column]}): {cell}; expected {expected}")
    return codes
