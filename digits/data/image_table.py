"""Images as CSV, in the form of Kaggle's Digit Recognizer and its relatives: a row for each image.

Pixels are whole numbers from 0 to 255, or shares of 255, from 0 to 1: which of both, their values
say. pandas reads the cells, but what it repairs in silence is refused: a field too many shifts no
column, a line end within quotes joins no lines, and a short row is filled with empty text, which is
no number.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pandas.errors import ParserError
from tqdm import tqdm

from digits.data.classes import normalise_labels
from digits.data.forms import find_columns
from digits.data.lines import is_printed, read_lines
from digits.errors import InputError, shorten
from digits.files import replacing

TOLERANCE = 1e-3  # in greys: shares of 255 are often written with few digits
WORKERS = 2  # threads: pandas lets others run while it parses
_NUMBERS = [str(number) for number in range(256)]


@dataclass(frozen=True)
class Images:
    """Some rows of a table of images: labels and ids are indexed by the row in the file, from 1."""

    labels: "pd.Series[str]"  # shape (rows,), empty where the table has none; so are ids
    ids: "pd.Series[str]"
    pixels: NDArray[np.uint8]  # shape (rows, pixels), from 0 to 255


class ImageTable:
    """A CSV file of images, read block by block, which bounds memory.

    `scaled` says whether its pixels are shares of 255.
    """

    def __init__(self, path: Path, *, labelled: bool) -> None:
        """Find the columns of `path`, which must have labels if `labelled`, and may in any case.

        An `InputError` tells if it is no table of images, has no row, or all pixels are 0 and 1.
        """
        self.path = path
        self.columns = find_columns(path, labelled=labelled)
        self.scaled = self._is_scaled()

    def _is_scaled(self) -> bool:
        """Return what the first value tells that is neither 0 nor 1."""
        row, white = 0, False
        for row, text in self._blocks():
            values = self._values(self._parse(row, text))
            for telling in values[~np.isin(values, (0, 1))][:1]:
                return bool(0 < telling < 1)
            white |= bool(values.any())
        if not row:
            row = self.columns.first_row
            raise InputError(f"{self.path}: row {row}: no data; expected rows below the header")
        if white:
            raise InputError(
                f"{self.path}: pixels are 0 and 1 alone, which of 255 or of 1 is not said; "
                "expected whole numbers from 0 to 255, or shares of them"
            )
        return False

    def read(self) -> Iterator[Images]:
        """Yield all images, block by block; a bar counts them on a terminal where it takes long.

        An `InputError` tells if a row or a cell is not as expected.
        """
        with (
            tqdm(desc=self.path.name, unit=" rows", leave=False, disable=None, delay=2) as bar,
            ThreadPoolExecutor(WORKERS) as pool,
        ):
            tasks = (pool.submit(self._convert, *block) for block in self._blocks())
            pending = deque(islice(tasks, WORKERS + 1))
            while pending:
                images = pending.popleft().result()
                yield images
                pending.extend(islice(tasks, 1))
                bar.update(len(images.pixels))

    def refuse(self, column: int, wrong: ArrayLike, cells: "pd.Series[Any]", expected: str) -> None:
        """Raise an error that names the first cell of a column, from 0, that is wrong, if any is.

        The cells are indexed by their row, from 1, as an editor counts.
        """
        for place in np.flatnonzero(wrong)[:1].tolist():
            cell, name = cells.iloc[place], self.columns.names[column][:40]
            told = shorten(str(cell)) if cell != "" else "missing"
            told = f"{cell:g}" if isinstance(cell, np.number) else told
            where = f"row {cells.index[place]}, column {column + 1}"
            named = f" ({name})" if name else ""
            raise InputError(f"{self.path}: {where}{named}: {told}; expected {expected}")

    def _blocks(self) -> Iterator[tuple[int, str]]:
        """Yield blocks of lines below the header, and the row that each begins with."""
        for row, text in read_lines(self.path):
            header = row < self.columns.first_row
            rows = text.partition("\n")[2] if header else text
            if rows:
                yield row + header, rows

    def _parse(self, row: int, text: str) -> pd.DataFrame:
        """Return the cells of a block of lines that begins with that row, indexed by their rows."""
        columns, quoted, count = self.columns, '"' in text, len(self.columns.names)
        if quoted:
            self._check_quotes(row, text)
        try:
            frame = pd.read_csv(
                StringIO(text),
                sep=columns.separator,
                header=None,
                names=range(count),
                converters=dict.fromkeys(columns.others, str.strip),
                na_filter=False,
                skip_blank_lines=False,
                skipinitialspace=quoted,  # quotes alone need it, and it takes time
                low_memory=False,
            )
            # What is too much in all rows becomes their names.
            too_long = None if isinstance(frame.index, pd.RangeIndex) else row
        except ParserError as error:
            [line] = re.findall(r"in line (\d+)", str(error))
            too_long = row + int(line) - 1
        if too_long:
            raise InputError(
                f"{self.path}: row {too_long}, column {count + 1}: a field too many; "
                f"expected {count} columns, as in row 1"
            )
        frame.index += row
        return frame

    def _check_quotes(self, row: int, text: str) -> None:
        """Check that quotes stand around cells, and around no line end."""
        cell = f'(?: *+"(?:[^"]|"")*+" *+|[^"{self.columns.separator}]*+)'
        cells = re.compile(f"{cell}(?:{self.columns.separator}{cell})*+")
        for number, line in enumerate(text.split("\n"), start=row):
            if not cells.fullmatch(line):
                raise InputError(
                    f"{self.path}: row {number}: a quote alone, or within a cell; "
                    "expected quotes around cells"
                )

    def _convert(self, row: int, text: str) -> Images:
        frame, columns = self._parse(row, text), self.columns
        checks: tuple[tuple[int | None, Callable[[str], object], str], ...] = (
            (columns.row_number, re.compile(r"[0-9]+(\.0)?").fullmatch, "a row number"),
            (columns.nothing, lambda cell: cell == "", "no more columns"),
            (columns.label, _is_text, "a label, in UTF-8 that can be printed"),
            (columns.id, _is_text, "an id, in UTF-8 that can be printed"),
        )
        for column, is_right, expected in checks:
            if column is not None:
                wrong = [not is_right(cell) for cell in frame[column]]
                self.refuse(column, wrong, frame[column], expected)
        labels, ids = (
            pd.Series([], dtype=str) if column is None else frame[column]
            for column in (columns.label, columns.id)
        )
        return Images(normalise_labels(labels), ids, self._pixels(frame))

    def _values(self, frame: pd.DataFrame) -> NDArray[Any]:
        """Return the pixels as numbers, not a number where they are text, or true and false."""
        cells = frame.iloc[:, self.columns.pixels] if self.columns.others else frame
        if not all(kind.kind in "iuf" for kind in cells.dtypes):
            cells = cells.astype(str).apply(pd.to_numeric, errors="coerce").astype(np.float64)
        return cells.to_numpy()

    def _pixels(self, frame: pd.DataFrame) -> NDArray[np.uint8]:
        """Return the pixels that values stand for, if each stands for one."""
        values = self._values(frame)
        with np.errstate(invalid="ignore", over="ignore"):  # such as infinity less itself
            if self.scaled:
                expected, greys = "k / 255, from 0 to 1, as others are", values * 255.0
                pixels = np.rint(greys).astype(np.uint8)
                wrong = ~(np.abs(greys - pixels) <= TOLERANCE)
            else:
                expected, pixels = "a whole number from 0 to 255", values.astype(np.uint8)
                wrong = values != pixels
        if wrong.any():
            order = np.argwhere(wrong)[0, 1]
            column = self.columns.pixels[order]
            self.refuse(column, wrong[:, order], frame[column], expected)
        return np.ascontiguousarray(pixels)


def _is_text(cell: str) -> bool:
    return is_printed(cell) and cell.lower() not in ("", "nan")


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
