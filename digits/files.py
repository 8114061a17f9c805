"""Files that appear whole or not at all: written under another name, then moved into place.

All raise `InputError` where they cannot write.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from digits.errors import expecting

_WRITABLE = "to be able to write it"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`, and move the file written there to `path` at the end.

    When the block raises, that file goes, and what stood at `path` before stays.
    """
    temporary = _name_partial(path)
    try:
        with expecting(path, _WRITABLE):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def replacing_directory(path: Path) -> Iterator[Path]:
    """Yield a new, empty directory beside `path`, to take its place, as `replacing` does."""
    with directory_beside(path) as temporary:
        yield temporary
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
        temporary.rename(path)


@contextmanager
def directory_beside(path: Path) -> Iterator[Path]:
    """Yield a new, empty directory beside `path`, which goes at the end."""
    temporary = _name_partial(path)
    try:
        with expecting(path, _WRITABLE):
            temporary.mkdir(parents=True)
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _name_partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.{token_hex(4)}.partial")


def find_partial(folder: Path, pattern: str) -> list[Path]:
    """Return what runs that were killed left in a folder of files whose names match `pattern`."""
    return list(folder.glob(f"{pattern}.{'[0-9a-f]' * 8}.partial"))


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write `value` as indented JSON; NaN and infinity, which JSON lacks, raise ValueError."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
