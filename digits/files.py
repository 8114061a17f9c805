"""Files that appear whole or not at all: written under another name, then moved into place."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from digits.errors import expecting


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`, and move the file or folder made there to `path` at the end.

    When the block raises, that goes, and what stood at `path` before stays. What cannot be written
    is an `InputError`.
    """
    temporary = path.with_name(f"{path.name}.{token_hex(4)}.partial")
    try:
        with expecting(path, "to be able to write it"):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if temporary.is_dir():  # only a file takes the place of what is there
                shutil.rmtree(path, ignore_errors=True)
            temporary.replace(path)
    finally:
        with suppress(OSError):
            remove(temporary)


def find_partial(folder: Path) -> list[Path]:
    """Return what runs that were killed left in a folder."""
    return list(folder.glob(f"*.{'[0-9a-f]' * 8}.partial"))


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write `value` as indented JSON; NaN and infinity, which JSON lacks, raise ValueError."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
