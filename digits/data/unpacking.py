"""Packed files, gzip and zip with one file in it, known by their first bytes and read to a limit.

An archive may unpack to a few hundred times its size, no more: a small file cannot fill a disk.
"""

import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from digits.errors import expecting

BLOCK_BYTES = 3 * 2**20
FIRST_BYTES = 2**18  # of the first block, which is read again and again to see what is in a file
# Images packed as CSV shrink about tenfold, black ones alone several hundred times.
UNPACKED_RATIO = 300
UNPACKED_BYTES = 2**24  # that any archive may unpack to


def read_unpacked(path: Path) -> Iterator[bytes]:
    """Yield what a CSV file holds, unpacked where it is packed, in blocks of bytes.

    An `InputError` tells if it cannot be read, is damaged, or unpacks to too much.
    """
    # A damaged archive raises nearly any error.
    with expecting(path, "a whole CSV file", Exception), path.open("rb") as file:
        most = max(UNPACKED_BYTES, UNPACKED_RATIO * path.stat().st_size)
        unpacked, size, count = _unpack(file), FIRST_BYTES, 0
        while block := unpacked.read(size):
            size, count = BLOCK_BYTES, count + len(block)
            if count > most:
                raise ValueError(
                    f"unpacks to over {most} bytes, {UNPACKED_RATIO} times its own size "
                    "(unpack it yourself if you trust it)"
                )
            yield block


def _unpack(file: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    if start != b"PK\x03\x04":
        return file
    archive = zipfile.ZipFile(file)
    names = [name for name in archive.namelist() if not name.endswith("/")]  # but no folders
    names = [name for name in names if not name.startswith("__MACOSX/")]  # macOS adds that one
    if len(names) != 1:
        raise ValueError(f"{len(names)} files inside; expected one CSV file")
    return archive.open(names[0])
