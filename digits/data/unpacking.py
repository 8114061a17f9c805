"""Packed files, gzip and zip with one file in it, known by their first bytes and read to a limit.

An archive may unpack to a few hundred times its size, no more: a small file cannot fill a disk.
"""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import IO

from digits.errors import InputError, expecting

BLOCK_BYTES = 3 * 2**20
FIRST_BYTES = 2**18  # of the first block, which is read again and again to see what is in a file
# Images packed as CSV shrink about tenfold, black ones alone several hundred times.
UNPACKED_RATIO = 300
UNPACKED_BYTES = 2**24  # that any archive may unpack to

WHOLE = "a whole CSV file"
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
# What the standard library raises of archives that are not whole, or not as it knows them.
_DAMAGED = (EOFError, zlib.error, zipfile.BadZipFile, struct.error, ValueError, RuntimeError)


def read_unpacked(path: Path) -> Iterator[bytes]:
    """Yield what a CSV file holds, unpacked where it is packed, in blocks of bytes.

    Raises:
        InputError: it cannot be read, is no regular file, is damaged, or unpacks to too much.
    """
    with expecting(path, WHOLE, *_DAMAGED):
        found = path.stat()
        if not S_ISREG(found.st_mode) and not S_ISDIR(found.st_mode):  # which opening tells of
            raise InputError(f"{path}: a pipe or a device; expected {WHOLE}")
        most = max(UNPACKED_BYTES, UNPACKED_RATIO * found.st_size)
        with _open(path) as (file, is_packed):
            size, count = FIRST_BYTES, 0
            while block := file.read(size):
                size, count = BLOCK_BYTES, count + len(block)
                if is_packed and count > most:
                    raise InputError(
                        f"{path}: unpacks to over {most} bytes; expected at most "
                        f"{UNPACKED_RATIO} times its own size (unpack it yourself if you trust it)"
                    )
                yield block


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes] | gzip.GzipFile, bool]]:
    """Open a file, and say whether it was packed."""
    with path.open("rb") as file:
        start = file.read(len(_ZIP))
        file.seek(0)
        if start == _ZIP:
            with zipfile.ZipFile(file) as archive, _open_member(path, archive) as member:
                yield member, True
        elif start.startswith(_GZIP):
            with gzip.open(file) as unpacked:
                yield unpacked, True
        else:
            yield file, False


def _open_member(path: Path, archive: zipfile.ZipFile) -> IO[bytes]:
    # macOS adds a folder of its own to the archives that it makes.
    # A folder's name ends in a slash.
    names = (info for info in archive.infolist() if not info.filename.endswith("/"))
    members = [info for info in names if not info.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        raise InputError(f"{path}: {len(members)} files inside; expected one CSV file")
    if members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"{path}: compressed by another method; expected zip's own, deflate")
    return archive.open(members[0])
