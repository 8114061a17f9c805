"""Images as CSV, in the form of Kaggle's Digit Recognizer and its relatives: a row for each image.

Pixels are whole numbers from 0 to 255, or shares of 255, from 0 to 1: which of both, their values
say. `digits.data.forms` has which columns there are.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from digits.data.classes import normalise_labels
from digits.data.csv_files import Converted, read_rows
from digits.data.forms import find_columns
from digits.errors import InputError, shorten
from digits.files import replacing

TOLERANCE = 1e-3  # in greys: shares of 255 are often written with few digits
_NUMBERS = [str(number) for number in range(256)]
_DELAY = 2  # seconds before a bar is shown


@dataclass(frozen=True)
class Images:
    """Some rows of a table of images.

    Attributes:
        labels: as text, shape (rows,); empty where the table has none.
        ids: as text, shape (rows,); empty where the table has none.
        pixels: from 0 to 255, shape (rows, pixels).
    """

    labels: "pd.Series[str]"
    ids: "pd.Series[str]"
    pixels: NDArray[np.uint8]


class ImageTable:
    """A CSV file of images, read block by block, which bounds memory.

    Attributes:
        path: of the file.
        columns: what they are.
        scaled: whether pixels are shares of 255, as the first values say that can.
    """

    def __init__(self, path: Path, *, labelled: bool) -> None:
        """Find the columns of `path`, which must have labels if `labelled`, and may in any case.

        Raises:
            InputError: it cannot be read, or is no table of images, or all pixels are 0 and 1.
        """
        self.path = path
        self.columns = find_columns(path, labelled=labelled)
        self.scaled = self._is_scaled()

    def _is_scaled(self) -> bool:
        seen_one = False
        for values in self._read(self._values):
            telling = ~np.isin(values, (0, 1))
            if telling.any():
                first = values[np.unravel_index(telling.argmax(), telling.shape)]
                return bool(0 < first < 1)
            seen_one |= bool((values == 1).any())
        if seen_one:
            raise InputError(
                f"{self.path}: pixels are 0 and 1 alone, which of 255 or of 1 is not said; "
                "expected whole numbers from 0 to 255, or shares of them"
            )
        return False

    def read(self) -> Iterator[Images]:
        """Yield all images, block by block; a bar counts them on a terminal where it takes long.

        Raises:
            InputError: a row or a cell is not as expected, or there is no row at all.
        """
        name, rows = self.path.name, 0
        with tqdm(desc=name, unit=" rows", leave=False, disable=None, delay=_DELAY) as bar:
            for images in self._read(self._convert):
                yield images
                rows += len(images.pixels)
                bar.update(len(images.pixels))
        if not rows:
            row = self.columns.first_row
            raise InputError(f"{self.path}: row {row}: no data; expected rows below the header")

    def _read(self, convert: Callable[[int, pd.DataFrame], Converted]) -> Iterator[Converted]:
        return read_rows(self.path, self.columns.row_format, convert)

    def fault(self, row: int, column: int, told: str) -> InputError:
        """Return an error in a cell: the row as an editor counts, the column from 0."""
        name = self.columns.name(column)
        return InputError(f"{self.path}: row {row}, column {column + 1}{name}: {told}")

    def _convert(self, row: int, frame: pd.DataFrame) -> Images:
        self._check_others(row, frame)
        labels, ids = (
            self._text(row, frame, column) for column in (self.columns.label, self.columns.id)
        )
        return Images(normalise_labels(labels), ids, self._check_pixels(row, frame))

    def _values(self, _: int, frame: pd.DataFrame) -> NDArray[Any]:
        """Return the pixels as numbers, not a number where they are text, or true and false."""
        cells = frame.iloc[:, self.columns.pixels] if self.columns.others else frame
        if not all(kind.kind in "iuf" for kind in cells.dtypes):
            cells = cells.astype(str).apply(pd.to_numeric, errors="coerce").astype(np.float64)
        return cells.to_numpy()

    def _check_others(self, row: int, frame: pd.DataFrame) -> None:
        """Check the columns that nothing is taken from: of row numbers, and of nothing."""
        for column, pattern, expected in (
            (self.columns.row_number, r"[0-9]+(\.0)?", "a row number"),
            (self.columns.nothing, "", "no more columns"),
        ):
            if column is not None:
                wrong = ~frame[column].str.fullmatch(pattern)
                self._refuse(row, frame[column], wrong, expected)

    def _text(self, row: int, frame: pd.DataFrame, column: int | None) -> "pd.Series[str]":
        """Return a column of text, none of it missing or damaged; empty if there is no such one."""
        if column is None:
            return pd.Series([], dtype=str)
        texts: pd.Series[str] = frame[column]
        damaged = ~texts.map(str.isprintable) | texts.str.contains("\N{REPLACEMENT CHARACTER}")
        self._refuse(row, texts, damaged, "text in UTF-8 that can be printed")
        self._refuse(row, texts, texts.str.lower().isin(["", "nan"]), "a label or an id")
        return texts

    def _refuse(
        self, row: int, texts: "pd.Series[str]", wrong: "pd.Series[bool]", expected: str
    ) -> None:
        """Raise an error of the first cell of a column that is wrong."""
        for place in np.flatnonzero(wrong)[:1].tolist():
            told = shorten(texts[place]) if texts[place] else "missing"
            raise self.fault(row + place, cast("int", texts.name), f"{told}; expected {expected}")

    def _check_pixels(self, row: int, frame: pd.DataFrame) -> NDArray[np.uint8]:
        """Return the pixels that values stand for, if each stands for one."""
        values = self._values(row, frame)
        with np.errstate(invalid="ignore", over="ignore"):  # such as infinity less itself
            greys = values * 255.0 if self.scaled else values
            pixels = greys if greys.dtype.kind in "iu" else np.rint(greys)
            right = (pixels >= 0) & (pixels <= 255)
            if pixels is not greys:
                right &= np.abs(greys - pixels) <= TOLERANCE * self.scaled
        if not right.all():
            raise self._explain(row, frame, right)
        return np.ascontiguousarray(pixels.astype(np.uint8))

    def _explain(self, row: int, frame: pd.DataFrame, right: NDArray[np.bool_]) -> InputError:
        """Return the error of the first cell that is not right."""
        place, order = np.argwhere(~right)[0].tolist()
        column = self.columns.pixels[order]
        cell = frame.iloc[place, column]
        told = f"{cell:g}" if isinstance(cell, np.number) else shorten(str(cell))
        told = "missing" if cell == "" else told
        whole, share = "a whole number from 0 to 255", "k / 255, from 0 to 1, as others are"
        expected = share if self.scaled else whole
        return self.fault(row + place, column, f"{told}; expected {expected}")


def write_images(
    path: Path, pixels: NDArray[np.uint8], labels: Iterable[object] | None = None
) -> None:
    """Write images, shape (rows, pixels), and their labels, if given, in Kaggle's form."""
    header = ["label"] * (labels is not None) + [f"pixel{k}" for k in range(pixels.shape[1])]
    prefixes = [""] * len(pixels) if labels is None else [f"{label}," for label in labels]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(header) + "\n")
        rows = zip(prefixes, pixels, strict=True)
        for prefix, image in tqdm(rows, path.name, len(pixels), unit=" rows", disable=None):
            # A list of all 256 numbers writes 55 million pixels three times as fast as pandas.
            file.write(prefix + ",".join(map(_NUMBERS.__getitem__, image.tobytes())) + "\n")
