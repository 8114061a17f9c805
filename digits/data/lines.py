"""Lines of CSV files of any length in blocks, which bound memory.

A file may be packed, by gzip or as a zip with one file in it; its first bytes say so.
"""

import gzip
import re
import zipfile
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from digits.errors import expecting

BLOCK = 3 * 2**20  # characters
FIRST_BLOCK = 2**18  # which is read again and again to see what is in a file
# Images packed as CSV shrink about tenfold, black ones alone several hundred times. An archive may
# unpack to so many bytes, or so many times its size, lest a small one fill a disk.
UNPACKED, UNPACKED_RATIO = 2**24, 300
DAMAGED = "\N{REPLACEMENT CHARACTER}"  # in the place of what is no UTF-8


def is_printed(text: str) -> bool:
    """Return whether text was UTF-8, and can be printed in one line."""
    return text.isprintable() and DAMAGED not in text


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield blocks of whole lines, ended by LF, with the row, from 1, that a block begins with.

    Lines may end in LF, CRLF or CR. Blank lines at the end, and a byte-order mark, are left out.
    An `InputError` tells if the file cannot be read.
    """
    kept, row, size, count = "", 1, FIRST_BLOCK, 0
    # A damaged archive raises nearly any error.
    with expecting(path, "a whole CSV file", Exception), path.open("rb") as file:
        most = max(UNPACKED, UNPACKED_RATIO * path.stat().st_size)
        unpacked = TextIOWrapper(_unpack(file), encoding="utf-8-sig", errors="replace")
        while block := unpacked.read(size):
            size, count = BLOCK, count + len(block)
            if count > most:
                raise ValueError(f"unpacks to over {most} bytes, {UNPACKED_RATIO} times its size")
            text = kept + block
            cut = text.rfind("\n", 0, len(text.rstrip())) + 1
            if cut:
                yield row, text[:cut]
                row += text.count("\n", 0, cut)
            kept = text[cut:]
    if kept.strip():
        yield row, kept.rstrip()


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
