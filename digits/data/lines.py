"""Lines of CSV files of any length in blocks, which bound memory.

A file may be packed, by gzip or as a zip with one file in it; its first bytes say so.
"""

import csv
import gzip
import re
import zipfile
from codecs import getincrementaldecoder
from collections.abc import Iterator
from io import IncrementalNewlineDecoder
from itertools import chain
from pathlib import Path
from typing import IO

from digits.errors import InputError, expecting

BLOCK_BYTES = 3 * 2**20
FIRST_BYTES = 2**18  # of the first block, which is read again and again to see what is in a file
LINE_BYTES = 2**22
# Images packed as CSV shrink about tenfold, black ones alone several hundred times. An archive may
# unpack to so many bytes, or so many times its size, lest a small one fill a disk.
UNPACKED_BYTES, UNPACKED_RATIO = 2**24, 300
SEPARATORS = ",\t;"
DAMAGED = "\N{REPLACEMENT CHARACTER}"  # in the place of what is no UTF-8


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield blocks of whole lines, ended by LF, with the row, from 1, that a block begins with.

    Lines may end in LF, CRLF or CR. Blank lines at the end, and a byte-order mark, are left out.
    An `InputError` tells if the file cannot be read, or has a line longer than `LINE_BYTES`.
    """
    utf_8 = getincrementaldecoder("utf-8-sig")("replace")
    decoder = IncrementalNewlineDecoder(utf_8, translate=True)
    kept, row = "", 1
    for block in chain(_read_unpacked(path), [b""]):
        text = kept + decoder.decode(block, final=not block)
        cut = text.rfind("\n", 0, len(text.rstrip())) + 1
        if cut:
            yield row, text[:cut]
            row += text.count("\n", 0, cut)
        kept = text[cut:]
        if len(kept) > LINE_BYTES:
            raise InputError(f"{path}: row {row}: over {LINE_BYTES} bytes; expected a shorter line")
    if kept.strip():
        yield row, kept.rstrip()


def _read_unpacked(path: Path) -> Iterator[bytes]:
    # A damaged archive raises nearly any error.
    with expecting(path, "a whole CSV file", Exception), path.open("rb") as file:
        most = max(UNPACKED_BYTES, UNPACKED_RATIO * path.stat().st_size)
        unpacked, size, count = _unpack(file), FIRST_BYTES, 0
        while block := unpacked.read(size):
            size, count = BLOCK_BYTES, count + len(block)
            if count > most:
                raise ValueError(f"unpacks to over {most} bytes, {UNPACKED_RATIO} times its size")
            yield block


def _unpack(file: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    if start != b"PK\x03\x04":
        return file
    archive = zipfile.ZipFile(file)
    # Folders are no files, and that one is what macOS adds.
    names = [name for name in archive.namelist() if not re.search("^__MACOSX/|/$", name)]
    if len(names) != 1:
        raise ValueError(f"{len(names)} files inside")
    return archive.open(names[0])


def read_first_row(path: Path) -> tuple[str, list[str]]:
    """Return what separates the cells of a file, and its first row, without blanks around cells.

    An `InputError` tells if there is none, or it is no text in UTF-8.
    """
    _, text = next(read_lines(path), (1, ""))
    line = text.partition("\n")[0]
    if not line.strip():
        raise InputError(f"{path}: row 1: empty; expected a header")
    separator = max(SEPARATORS, key=line.count)
    try:
        # pandas takes seconds where a single row is very long.
        [row] = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    except csv.Error:
        row = [DAMAGED]
    cells = [cell.strip() for cell in row]
    if DAMAGED in line or not all(map(str.isprintable, cells)):
        raise InputError(f"{path}: row 1: no row of text in UTF-8; expected CSV")
    return separator, cells
