"""Errors that a person can mend, told in one line.

    Exception
    └── InputError      a file, row, column, key or value that cannot be used

Everything else is a bug, and keeps its traceback.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(Exception):
    """What the user gave cannot be used; its message is one line: where, and what instead."""


@contextmanager
def expecting(path: Path, expected: str) -> Iterator[None]:
    """Raise an `InputError` where the block cannot read the file `path`."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {expected}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; expected {expected}") from None


def shorten(value: object) -> str:
    """Return `value` as Python writes it, cut to 40 characters, for a message."""
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "…"


def report(main: Callable[[], None]) -> None:
    """Run a stage's `main`; an `InputError` becomes a line on standard error and status 1."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
