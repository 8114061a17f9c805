"""Files that appear whole or not at all, written under another name and moved into place.

A run that is killed may leave that other name, which ends in `.partial`; the next one clears it.
"""

import csv
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from math import isfinite
from pathlib import Path

from digits.errors import InputError, expecting, one_line


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and move what was written there to `path` at the end.

    When the block raises, the temporary file goes, and what stood at `path` before stays.

    Raises:
        InputError: the file cannot be written.
    """
    temporary = path.with_name(path.name + ".partial")
    try:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def replacing_directory(path: Path) -> Iterator[Path]:
    """Yield a new, empty directory beside `path`, and put it in the place of `path` at the end.

    When the block raises, that directory goes, and what stood at `path` before stays.

    Raises:
        InputError: the directory, or a file in it, cannot be written.
    """
    temporary = path.with_name(path.name + ".partial")
    try:
        with _writing(path):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            yield temporary
            shutil.rmtree(path, ignore_errors=True)
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and rows as CSV, with lines that end in LF."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_columns(path: Path, names: Sequence[str], expected: str) -> dict[str, list[float]]:
    """Return columns of a table that `write_csv` wrote, each of finite numbers, at least one.

    Args:
        path: the table.
        names: of the columns.
        expected: what the file should be, for the message.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    damaged = (csv.Error, ValueError, KeyError, TypeError)
    with expecting(path, expected, *damaged), path.open(encoding="ascii", newline="") as file:
        rows = list(csv.DictReader(file))
        columns = {name: [float(row[name]) for row in rows] for name in names}
        if not rows or not all(map(isfinite, chain(*columns.values()))):
            raise ValueError("no finite numbers")
    return columns
