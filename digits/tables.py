"""CSV tables of whole numbers, read strictly, block by block.

A cell is 1 to 18 of the digits 0 to 9 and nothing else: no sign, blank, quote, point or exponent.
Everything that general readers repair in silence (a row with a field too many, 2.0, True, 256 in a
byte) is an error here, told with its row and column, both counted from 1, the header being row 1.
Memory is bounded by a block, whatever the file's length, and an archive may unpack to a few hundred
times its size, no more: a small file cannot fill a disk.
"""

import csv
import gzip
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from digits.errors import InputError, expecting, shorten

BLOCK_CELLS = 2**16  # what a processor's cache holds while it is parsed
HEADER_BYTES = 2**22
CELL_DIGITS = 18  # that any int64 holds
LF = ord("\n")
# Images packed as CSV shrink about tenfold, black ones alone several hundred times.
UNPACKED_RATIO = 300
UNPACKED_BYTES = 2**24  # that any archive may unpack to

WHOLE = "a whole CSV file"
# What the standard library raises of archives that are not whole, or not as it knows them.
_DAMAGED = (EOFError, zlib.error, zipfile.BadZipFile, struct.error, ValueError, RuntimeError)


class Lines(Protocol):
    """A file of bytes that is read line by line."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line, of `size` bytes at most, or nothing at the end."""


class _Unpacked:
    """The lines of an archive's file, up to a limit of bytes."""

    def __init__(self, path: Path, file: Lines) -> None:
        self._path = path
        self._file = file
        self._limit = max(UNPACKED_BYTES, UNPACKED_RATIO * path.stat().st_size)
        self._left = self._limit

    def readline(self, size: int, /) -> bytes:
        with expecting(self._path, WHOLE, *_DAMAGED):
            line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise InputError(
                f"{self._path}: unpacks to over {self._limit} bytes; expected at most "
                f"{UNPACKED_RATIO} times its own size (unpack it yourself if you trust it)"
            )
        return line


class IntegerTable:
    """An open CSV table of whole numbers: its column names, and its rows in blocks.

    Attributes:
        path: the file, as named in errors.
        columns: the names in the header, in order.
    """

    def __init__(self, path: Path, file: Lines) -> None:
        self.path = path
        self._file = file
        self.columns = self._read_header()

    def _read_header(self) -> list[str]:
        line = self._file.readline(HEADER_BYTES).removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            raise InputError(f"{self.path}: row 1: empty; expected a header")
        try:
            text = line.decode("utf-8").removesuffix("\n").removesuffix("\r")
            if "\0" in text or text.endswith("\r"):
                raise ValueError
            return next(csv.reader([text], strict=True))
        except (ValueError, csv.Error):
            raise InputError(
                f"{self.path}: row 1: not text in UTF-8 with lines that end in LF or CRLF; "
                "expected a CSV header"
            ) from None

    def blocks(self, limits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Yield the rows as arrays of shape (rows, columns), in order, all at most `limits`.

        Args:
            limits: the largest value allowed in each column, shape (columns,).

        Raises:
            InputError: a row or a cell is not as expected, or there is no row at all.
        """
        # Room for CRLF, and for one byte more, which gives a longer row away.
        lines = iter(partial(self._file.readline, self._row_bytes() + 3), b"")
        row = 2
        while block := list(islice(lines, max(1, BLOCK_CELLS // len(self.columns)))):
            yield self._parse(block, row, limits)
            row += len(block)
        if row == 2:
            raise InputError(f"{self.path}: row 2: no data; expected rows below the header")

    def _row_bytes(self) -> int:
        """Return the most bytes that a row may have, its line end counted as one."""
        return (CELL_DIGITS + 1) * len(self.columns)

    def _parse(self, lines: list[bytes], row: int, limits: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = [line.removesuffix(b"\n").removesuffix(b"\r") for line in lines]
        values = _parse_cells(b"\n".join([b"", *rows, b""]), len(rows), len(self.columns))
        if values is not None and (values <= limits).all():
            return values
        raise self._first_fault(rows, row, limits)

    def _first_fault(self, rows: list[bytes], first: int, limits: NDArray[np.int64]) -> InputError:
        """Return the error of the first row, counted from `first`, that is not as expected."""
        for row, line in enumerate(rows, start=first):
            if fault := self._fault(line, limits):
                return InputError(f"{self.path}: row {row}, {fault}")
        raise AssertionError("refused, although every row is as expected")

    def _fault(self, line: bytes, limits: NDArray[np.int64]) -> str | None:
        """Return the column of the first cell that is not as expected, and what was expected."""
        cells = line.split(b",")
        for column, (cell, limit) in enumerate(zip(cells, limits, strict=False)):
            if not cell.isdigit() or len(cell) > CELL_DIGITS or int(cell) > limit:
                where = f"column {column + 1} ({self.columns[column][:40]})"
                most = f" in at most {CELL_DIGITS} digits" * (len(cell) > CELL_DIGITS)
                return f"{where}: {_quote(cell)}; expected a whole number from 0 to {limit}{most}"
        column = min(len(cells), len(limits)) + 1
        if len(line) > self._row_bytes():
            return f"column {column}: over {self._row_bytes()} bytes; expected {len(limits)} cells"
        if len(cells) != len(limits):
            return f"column {column}: {len(cells)} fields; expected {len(limits)}, as in the header"
        return None


def _parse_cells(text: bytes, rows: int, columns: int) -> NDArray[np.int64] | None:
    """Return the numbers of rows, a line feed before and after each; None if one is no number."""
    if text.translate(None, b"0123456789,\n"):
        return None
    characters = np.frombuffer(text, np.uint8)
    bounds = np.flatnonzero(characters < ord("0"))
    ends, lengths = bounds[1:], np.diff(bounds) - 1
    if len(ends) != rows * columns or (characters[ends[columns - 1 :: columns]] != LF).any():
        return None
    if lengths.min() < 1 or lengths.max() > CELL_DIGITS:
        return None
    values = characters[ends - 1].astype(np.int64) - ord("0")
    for place in range(1, lengths.max()):
        cells = np.flatnonzero(lengths > place)  # few of an image, which is mostly black
        digits = characters[ends[cells] - place - 1].astype(np.int64) - ord("0")
        values[cells] += 10**place * digits
    return values.reshape(rows, columns)


@contextmanager
def open_table(path: Path) -> Iterator[IntegerTable]:
    """Open the CSV file `path`: plain, `.gz`, or `.zip` with one file in it.

    Raises:
        InputError: the file cannot be opened or read, is damaged, or has no header of text.
    """
    with expecting(path, WHOLE), _open_bytes(path) as file:
        yield IntegerTable(path, file)


@contextmanager
def _open_bytes(path: Path) -> Iterator[Lines]:
    if path.suffix == ".zip":
        with expecting(path, WHOLE, *_DAMAGED):
            archive = zipfile.ZipFile(path)
        with archive, _open_member(path, archive) as member:
            yield _Unpacked(path, member)
    elif path.suffix == ".gz":
        with gzip.open(path) as file:
            yield _Unpacked(path, file)
    else:
        with path.open("rb") as file:
            yield file


def _open_member(path: Path, archive: zipfile.ZipFile) -> IO[bytes]:
    # macOS adds a folder of its own to the archives that it makes.
    # A folder's name ends in a slash.
    names = (info for info in archive.infolist() if not info.filename.endswith("/"))
    members = [info for info in names if not info.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        raise InputError(f"{path}: {len(members)} files inside; expected one CSV file")
    if members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"{path}: compressed by another method; expected zip's own, deflate")
    with expecting(path, WHOLE, *_DAMAGED):
        return archive.open(members[0])


def _quote(cell: bytes) -> str:
    return shorten(cell.decode("utf-8", errors="replace")) if cell else "empty"
