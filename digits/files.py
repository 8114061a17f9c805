"""Files that appear whole or not at all, written under another name and moved into place.

That name is random, made anew, and ends in `.partial`: a link that lies in its place is not
followed. A run that is killed may leave it behind; `find_partial` finds it.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from digits.errors import InputError, one_line


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and move what was written there to `path` at the end.

    When the block raises, the temporary file goes, and what stood at `path` before stays.

    Raises:
        InputError: the file cannot be written.
    """
    temporary = _name_partial(path)
    try:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(exist_ok=False)
            yield temporary
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def replacing_directory(path: Path) -> Iterator[Path]:
    """Yield a new, empty directory beside `path`, and put it in the place of `path` at the end.

    When the block raises, that directory goes, and what stood at `path` before stays. What stood
    there and cannot be deleted stays as well, under another name.

    Raises:
        InputError: the directory, or a file in it, cannot be written.
    """
    old = _name_partial(path)
    with directory_beside(path) as temporary:
        yield temporary
        with suppress(FileNotFoundError):
            path.rename(old)
        try:
            temporary.rename(path)
        except BaseException:
            with suppress(FileNotFoundError):
                old.rename(path)
            raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def directory_beside(path: Path) -> Iterator[Path]:
    """Yield a new, empty directory beside `path`, which goes at the end.

    Raises:
        InputError: it, or a file in it, cannot be written.
    """
    temporary = _name_partial(path)
    try:
        with _writing(path):
            temporary.mkdir(parents=True)
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _name_partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.{token_hex(4)}.partial")


def find_partial(folder: Path, pattern: str) -> list[Path]:
    """Return what runs that were killed left in a folder of files whose names match `pattern`."""
    return list(folder.glob(f"{pattern}.{'[0-9a-f]' * 8}.partial"))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise InputError(f"{path}: {reason}; expected to be able to write it") from None


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write `value` as indented JSON; NaN and infinity, which JSON lacks, raise ValueError."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
