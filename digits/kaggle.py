"""The CSV forms of Kaggle's Digit Recognizer: labelled images, images to predict, a submission.

An image is a row of n x n pixels from 0 to 255 in columns pixel0, pixel1, … (or pixel1, pixel2, …,
as other sets have it), row by row from the top; labelled ones have a column `label` before them,
and so may those to predict, in sets that are no competition. A submission has the columns ImageId,
counted from 1, and Label.
"""

from collections.abc import Iterable, Iterator
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from digits.errors import InputError, shorten
from digits.files import replacing, write_csv
from digits.tables import CELL_DIGITS, IntegerTable, open_table

SUBMISSION = Path("submission.csv")
LABEL = "label"
_SUBMISSION_COLUMNS = ["ImageId", "Label"]
_NUMBERS = [str(number) for number in range(256)]
_ANY_LABEL = 10**CELL_DIGITS - 1
_DELAY = 2  # seconds before a bar is shown


def count_pixels(path: Path, *, labelled: bool) -> int:
    """Return the number of pixels of each image in `path`, from its header, checked.

    Args:
        path: the file.
        labelled: whether it must have labels; it may have them in any case.
    """
    with open_table(path) as table:
        return _check_header(table, labelled=labelled)


def has_labels(path: Path) -> bool:
    """Return whether the images in `path` are labelled."""
    with open_table(path) as table:
        return table.columns[0] == LABEL


def read_labelled(
    path: Path, classes: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield labels, shape (rows,), and pixels, shape (rows, pixels), block by block.

    Raises:
        InputError: the file is not of this form, or a label is not below `classes`.
    """
    with open_table(path) as table:
        pixels = _check_header(table, labelled=True)
        for block in _shown(table, np.array([classes - 1] + [255] * pixels)):
            yield block[:, 0].copy(), block[:, 1:].astype(np.uint8)


def read_pixels(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield pixels, shape (rows, pixels), block by block; labels are passed over.

    Raises:
        InputError: the file is not of this form.
    """
    with open_table(path) as table:
        pixels = _check_header(table, labelled=False)
        labels = len(table.columns) - pixels
        for block in _shown(table, np.array([_ANY_LABEL] * labels + [255] * pixels)):
            yield block[:, labels:].astype(np.uint8)


def _shown(table: IntegerTable, limits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the blocks of a table, and count its rows on a terminal where that takes long."""
    with tqdm(desc=table.path.name, unit=" rows", leave=False, disable=None, delay=_DELAY) as bar:
        for block in table.blocks(limits):
            yield block
            bar.update(len(block))


def _check_header(table: IntegerTable, *, labelled: bool) -> int:
    where = f"{table.path}: row 1, column"
    labels = int(table.columns[0] == LABEL)
    if labelled and not labels:
        raise InputError(
            f"{where} 1: {shorten(table.columns[0])}; expected {LABEL!r} as the first column"
        )
    names = table.columns[labels:]
    start = 1 if names[:1] == ["pixel1"] else 0
    for number, name in enumerate(names):
        if name != f"pixel{start + number}":
            column = number + 1 + labels
            problem = "again" if name in names[:number] else "out of place"
            raise InputError(
                f"{where} {column}: {shorten(name)} {problem}; expected 'pixel{start + number}'"
            )
    if not names or isqrt(len(names)) ** 2 != len(names):
        raise InputError(
            f"{where} {len(table.columns)}: {len(names)} pixel columns; "
            "expected a square number of them"
        )
    return len(names)


def write_images(
    path: Path, pixels: NDArray[np.uint8], labels: NDArray[np.int64] | None = None
) -> None:
    """Write images, shape (rows, pixels), and their labels, if given, in Kaggle's form."""
    header = [LABEL] * (labels is not None) + [f"pixel{k}" for k in range(pixels.shape[1])]
    prefixes = [""] * len(pixels) if labels is None else [f"{label}," for label in labels]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="ascii") as file:
        file.write(",".join(header) + "\n")
        rows = zip(prefixes, pixels, strict=True)
        for prefix, image in tqdm(rows, path.name, len(pixels), unit=" rows", disable=None):
            # A list of all 256 numbers makes text of 55 million pixels in seconds, not in minutes.
            file.write(prefix + ",".join(map(_NUMBERS.__getitem__, image.tobytes())) + "\n")


def write_submission(path: Path, labels: Iterable[int]) -> None:
    """Write one label per image, in order, as Kaggle wants it."""
    write_csv(path, _SUBMISSION_COLUMNS, enumerate(labels, start=1))


def read_submission(path: Path, images: int, classes: int) -> NDArray[np.int64]:
    """Return the labels of a submission, shape (images,).

    Raises:
        InputError: the header, an id, a label or the number of rows is not as Kaggle wants it.
    """
    with open_table(path) as table:
        if table.columns != _SUBMISSION_COLUMNS:
            raise InputError(
                f"{path}: row 1: {shorten(','.join(table.columns))}; expected 'ImageId,Label'"
            )
        rows = np.concatenate(list(table.blocks(np.array([images, classes - 1]))))
    wrong = np.flatnonzero(rows[:, 0] != np.arange(1, len(rows) + 1))
    if wrong.size:
        row = int(wrong[0])
        raise InputError(
            f"{path}: row {row + 2}, column 1 (ImageId): {rows[row, 0]}; expected {row + 1}"
        )
    if len(rows) != images:
        raise InputError(f"{path}: row {len(rows) + 1}: the last of {len(rows)}; expected {images}")
    return rows[:, 1]
