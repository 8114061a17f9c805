"""CSV by pandas: tables of any length in blocks of whole lines, and small ones as a whole.

What pandas repairs in silence is refused: a field too many shifts no column, a line end within
quotes joins no lines, and a short row is filled with empty text, which is no number. Memory is
bounded by a block and by a line, whatever the file's length.
"""

import csv
import re
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from pandas.errors import ParserError, ParserWarning

from digits.data.unpacking import read_unpacked
from digits.errors import InputError, expecting, shorten
from digits.files import replacing

SEPARATORS = ",\t;"
LINE_BYTES = 2**22
WORKERS = 2  # threads: pandas lets others run while it parses
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STRAY_QUOTE = re.compile(rb'[^\s,;"]"[^\s,;"]|(?:^|[,;\t]) *""[^\s,;"]')
# What may begin a formula to a spreadsheet, numbers aside (OWASP, "CSV injection"); and the
# apostrophe that text of that kind is given, lest two texts become one.
_FORMULA = re.compile(r"['=@\t\r\n\uff1d\uff0b\uff0d\uff20]|[+-](?![0-9.]+\Z)")


Converted = TypeVar("Converted")


@dataclass(frozen=True)
class RowFormat:
    """How the rows of a file are written.

    Attributes:
        separator: one of `SEPARATORS`.
        columns: how many there are.
        start: the first row of data, from 1: 2 after a header.
        as_text: columns that are of text in any case, stripped of blanks.
    """

    separator: str
    columns: int
    start: int
    as_text: Collection[int] = ()


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines, ended by LF, each with the row, from 1, that it begins with.

    Blank lines at the end, and a byte-order mark, are left out.

    Raises:
        InputError: the file cannot be read, or has two kinds of line ends, or a line that is longer
            than `LINE_BYTES`.
    """
    kept, row, end = b"", 1, b""
    for block in read_unpacked(path):
        text = kept + block
        if row == 1:
            text = text.removeprefix(_BYTE_ORDER_MARK)
        end = end or _find_end(text)
        cut = text.rfind(end, 0, len(text.rstrip())) + 1 if end else 0
        if cut:
            lines = _unify(path, row, text[:cut], end)
            yield row, lines
            row += lines.count(b"\n")
        kept = text[cut:]
        if len(kept) > LINE_BYTES:
            raise InputError(f"{path}: row {row}: over {LINE_BYTES} bytes; expected a shorter line")
    if kept.strip():
        yield row, _unify(path, row, kept.rstrip(), end or b"\n")


def _find_end(text: bytes) -> bytes:
    """Return what ends a line, CR or the LF after it, or nothing if no line has ended."""
    if b"\n" in text:
        return b"\n"
    return b"\r" if b"\r" in text[:-1] else b""


def _unify(path: Path, row: int, text: bytes, end: bytes) -> bytes:
    """Return lines, the first of which is that row, with LF at the end of each."""
    if b"\r" not in text:  # which is seen in no time
        return text
    unified, other = text.replace(b"\r\n", b"\n"), b"\r"
    if end == b"\r":
        unified, other = text, b"\n"
    if other in unified:
        row += unified.count(end, 0, unified.index(other))
        raise InputError(f"{path}: row {row}: a line end of another kind; expected one kind in all")
    return unified.replace(b"\r", b"\n")


def read_first_row(path: Path) -> tuple[str, list[str]]:
    """Return what separates the cells of a file, and the first row as text.

    Raises:
        InputError: it cannot be read, or is no text in UTF-8.
    """
    _, text = next(read_lines(path), (1, b""))
    try:
        line = text.partition(b"\n")[0].decode("utf-8")
        if not line.strip():
            raise InputError(f"{path}: row 1: empty; expected a header")
        separator = max(SEPARATORS, key=line.count)
        # pandas takes seconds where a single row is very long.
        row = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
        cells = [cell.strip() for cell in next(row)]
    except (UnicodeDecodeError, csv.Error):
        cells = ["\0"]
    if not all(cell.isprintable() for cell in cells):
        raise InputError(f"{path}: row 1: no row of text in UTF-8; expected CSV")
    return separator, cells


def read_rows(
    path: Path, row_format: RowFormat, convert: Callable[[int, pd.DataFrame], Converted]
) -> Iterator[Converted]:
    """Yield what the rows of a file are converted to, in blocks.

    A column is of numbers where all of its cells in a block are, and of text where one is not, or
    is missing.

    Args:
        path: the file.
        row_format: of its rows.
        convert: is given each block, with the row, from 1, that it begins with, in a thread.

    Raises:
        InputError: the file cannot be read, or a row has more columns.
    """

    def parse(row: int, text: bytes) -> Converted:
        return convert(row, _parse(path, row_format, row, text))

    pending: deque[Future[Converted]] = deque()
    yielded = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for first, lines in read_lines(path):
            row, text = first, lines
            if row < row_format.start:
                row, text = row_format.start, lines.partition(b"\n")[2]
            if text:
                pending.append(pool.submit(parse, row, text))
            if len(pending) > min(WORKERS, yielded):  # whoever wants but the first has no more done
                yield pending.popleft().result()
                yielded += 1
        while pending:
            yield pending.popleft().result()


def _parse(path: Path, row_format: RowFormat, row: int, text: bytes) -> pd.DataFrame:
    """Return the rows of a block of lines, the first of which is that row."""
    try:
        frame = pd.read_csv(
            # pandas would pass over a byte-order mark wherever a block begins.
            StringIO(text.decode("utf-8", "replace").replace("\ufeff", "\ufffd")),
            sep=row_format.separator,
            header=None,
            names=range(row_format.columns),
            converters=dict.fromkeys(row_format.as_text, str.strip),
            na_filter=False,
            skip_blank_lines=False,
            skipinitialspace=b'"' in text,  # quotes alone need it, and it takes time
            low_memory=False,
        )
    except ParserError as error:
        raise _explain(path, row_format, row, str(error)) from None
    if not isinstance(frame.index, pd.RangeIndex):  # what is too much at first became names of rows
        raise _too_long(path, row, row_format)
    if b'"' in text:
        _check_quotes(path, row, text)
    return frame


def _explain(path: Path, row_format: RowFormat, row: int, told: str) -> InputError:
    """Return the error that pandas tells of lines, the first of which is that row."""
    if quoted := re.search(r"EOF inside string starting at row (\d+)", told):
        where = f"{path}: row {row + int(quoted[1])}"
        return InputError(f"{where}: a quote without its end; expected both")
    [line] = re.findall(r"in line (\d+)", told)
    return _too_long(path, row + int(line) - 1, row_format)


def _too_long(path: Path, row: int, row_format: RowFormat) -> InputError:
    return InputError(
        f"{path}: row {row}, column {row_format.columns + 1}: a field too many; "
        f"expected {row_format.columns} columns, as in row 1"
    )


def _check_quotes(path: Path, row: int, text: bytes) -> None:
    """Check that quotes stand around cells, and around no line end."""
    for line, cells in enumerate(text.split(b"\n"), start=row):
        if cells.count(b'"') % 2:
            raise InputError(f"{path}: row {line}: a line end within quotes; expected none")
        if _STRAY_QUOTE.search(cells):
            raise InputError(
                f"{path}: row {line}: a quote within a cell; expected it around a cell"
            )


def read_table(
    path: Path, columns: Mapping[str, type], expected: str, name: str = "", least: int = 1
) -> pd.DataFrame:
    """Return some columns of a small table, whole, of these types; all numbers are finite.

    Args:
        path: the file.
        columns: the type of each, by its name: str, int or float.
        expected: what the file should be, for messages.
        name: what it is called there, if not by its path.
        least: rows that it must have.

    Raises:
        InputError: there is no such file, or it holds something else, or too few rows.
    """
    with (
        expecting(Path(name or path), expected, ValueError, OverflowError, ParserWarning),
        warnings.catch_warnings(),
        path.open("rb") as file,
    ):
        warnings.simplefilter("error", ParserWarning)
        table = pd.read_csv(
            file,
            dtype=dict(columns),
            index_col=False,
            na_filter=False,
            skip_blank_lines=False,
        )
        if not {*columns} <= {*table} or len(table) < least:
            raise ValueError(f"{len(table)} rows of {shorten(list(table))}")
        chosen = table[list(columns)]
        for row in np.flatnonzero((~chosen.map(_is_told)).any(axis=1))[:1].tolist():
            raise ValueError(f"row {row + 2}: {shorten(chosen.iloc[row].tolist())}")
        return chosen


def _is_told(cell: str | float) -> bool:
    return cell != "" if isinstance(cell, str) else isfinite(cell)


def write_table(path: Path, blocks: Iterable[pd.DataFrame]) -> None:
    """Write a table, given in blocks of rows."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        for number, block in enumerate(blocks):
            block.to_csv(file, index=False, header=number == 0, lineterminator="\n")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with an apostrophe before what a spreadsheet would take for a formula."""
    return table.map(
        lambda cell: f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
    )
