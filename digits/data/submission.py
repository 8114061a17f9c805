"""Submissions, in the form of Kaggle: the id of each image to predict, and a label.

The columns are ImageId, counted from 1, and Label, as the Digit Recognizer has them, unless the
images bring ids: then they are named as that set's, such as id and label.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import UNKNOWN, encode
from digits.data.csv_files import read_blocks, writing_table
from digits.data.tensors import BLOCK, PREPARED, WRITTEN
from digits.errors import InputError, expecting, shorten

SUBMISSION = Path("submission.csv")
IDS = PREPARED / "ids.csv"
Ids = Iterator["pd.Series[str]"]  # in blocks, in order, named as their column


def count_ids(rows: int) -> Ids:
    """Yield the ids of so many images that bring none: they are counted, from 1."""
    for start in range(0, rows, BLOCK):
        counted = range(start + 1, min(start + BLOCK, rows) + 1)
        yield pd.Series(counted, name="ImageId").astype(str)


def read_ids(path: Path = IDS) -> Ids:
    """Yield the ids of the images to predict, under the name of their column.

    An `InputError` tells if there is no such file, or it is none that prepare wrote.
    """
    with expecting(path, WRITTEN, ValueError), path.open(encoding="utf-8") as file:
        name = file.readline().strip()
    for table in read_blocks(path, {name: str}, WRITTEN, BLOCK):
        yield table[name]


def _columns(ids: "pd.Series[str]") -> list[str]:
    name = str(ids.name)
    return [name, "label" if name.islower() else "Label"]


def write_submission(path: Path, ids: Ids, labels: Iterable[str]) -> None:
    """Write a label for each image, in the order of the ids, as Kaggle wants it."""
    first = next(ids)
    rows = zip(chain(first, chain.from_iterable(ids)), labels, strict=True)
    with writing_table(path) as write:
        while block := list(islice(rows, BLOCK)):
            write(pd.DataFrame(block, columns=_columns(first)))


def read_submission(path: Path, ids: Ids, classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each image of a submission, shape (rows,), given the ids in order.

    An `InputError` tells if a column, an id, a label or the number of rows is another.
    """
    found, start, first = [], 0, next(ids)
    names = _columns(first)
    expected = f"the columns {' and '.join(names)}, an id and a label in each row"
    tables = read_blocks(path, dict.fromkeys(names, str), expected, BLOCK, least=0)
    for own, table in zip_longest(chain([first], ids), tables, fillvalue=pd.DataFrame()):
        if len(own) != len(table):
            rows = start + len(table) + sum(map(len, tables))
            images = start + len(own) + sum(map(len, ids))
            raise InputError(f"{path}: row {rows + 1}: the last of {rows}; expected {images}")
        codes = encode(table[names[1]], classes)
        wrong = np.stack([table[names[0]].to_numpy() != own.to_numpy(), codes == UNKNOWN], axis=1)
        for row, column in np.argwhere(wrong)[:1].tolist():
            where, cell = f"row {start + row + 2}, column {column + 1}", table.iloc[row, column]
            expected = (own.iloc[row], f"one of {', '.join(classes)}"[:60])[column]
            told = f"{where} ({names[column]}): {shorten(cell)}"
            raise InputError(f"{path}: {told}; expected {expected}")
        found.append(codes)
        start += len(codes)
    return np.concatenate(found)
