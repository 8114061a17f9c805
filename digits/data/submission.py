"""Submissions, in the form of Kaggle: the id of each image to predict, and a label.

Ids are counted from 1 in the column ImageId, with the labels in Label, as the Digit Recognizer has
them, unless the images bring their own: then both columns are named as that set's, id and label.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import UNKNOWN, encode
from digits.data.csv_files import RowFormat, read_first_row, read_rows, read_table, write_table
from digits.data.tensors import PREPARED, WRITTEN
from digits.errors import InputError, expecting, shorten

SUBMISSION = Path("submission.csv")
IDS = PREPARED / "ids.csv"
COUNTED = "ImageId"


def count_ids(rows: int) -> "pd.Series[str]":
    """Return the ids of images that bring none, shape (rows,): they are counted, from 1."""
    return pd.Series(range(1, rows + 1), name=COUNTED).astype(str)


def read_ids(path: Path = IDS) -> "pd.Series[str]":
    """Return the ids of the images to predict, shape (rows,), under the name of their column.

    Raises:
        InputError: there is no such file, or it is none that prepare wrote.
    """
    with expecting(path, WRITTEN, ValueError):
        [name] = read_first_row(path)[1]
    ids: pd.Series[str] = read_table(path, {name: str}, WRITTEN)[name]
    return ids


def _columns(ids: "pd.Series[str]") -> list[str]:
    name = str(ids.name)
    return [name, "label" if name.islower() else "Label"]


def write_submission(path: Path, ids: "pd.Series[str]", labels: Iterable[str]) -> None:
    """Write a label for each image, in the order of the ids, as Kaggle wants it."""
    write_table(path, [pd.DataFrame(zip(ids, labels, strict=True), columns=_columns(ids))])


def read_submission(path: Path, ids: "pd.Series[str]", classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the classes of a submission, shape (rows,).

    Args:
        path: of the submission.
        ids: of the images, in order.
        classes: the label of each.

    Raises:
        InputError: the header, an id, a label or the number of rows is not as Kaggle wants it.
    """
    names, (separator, header) = _columns(ids), read_first_row(path)
    if header != names or separator != ",":
        expected = repr(",".join(names))
        raise InputError(f"{path}: row 1: {shorten(','.join(header))}; expected {expected}")
    blocks = list(read_rows(path, RowFormat(",", 2, 2, as_text=(0, 1)), lambda _, frame: frame))
    table = pd.concat(blocks or [pd.DataFrame({0: [], 1: []})], ignore_index=True)
    rows, codes = min(len(table), len(ids)), encode(table[1], classes)
    wrong = table[0][:rows] != ids[:rows], pd.Series(codes[:rows] == UNKNOWN)
    known = ids, pd.Series([f"one of {', '.join(classes)}"] * rows)
    for column, places in enumerate(map(np.flatnonzero, wrong)):
        if places.size:
            row = int(places[0])
            raise InputError(
                f"{path}: row {row + 2}, column {column + 1} ({names[column]}): "
                f"{shorten(table[column][row])}; expected {known[column][row][:60]}"
            )
    if len(table) != len(ids):
        told = f"row {len(table) + 1}: the last of {len(table)}"
        raise InputError(f"{path}: {told}; expected {len(ids)}")
    return codes
