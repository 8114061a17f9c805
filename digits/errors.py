"""Errors that a person can mend, told in one line; all else is a bug, and keeps its traceback."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(Exception):
    """What the user gave cannot be used; its message is one line: where, and what instead.

    What cannot be printed in one line is written in it as Python escapes it.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))


@contextmanager
def expecting(path: Path, expected: str, *damaged: type[Exception]) -> Iterator[None]:
    """Raise an `InputError` that says what is `expected` where the block cannot read a file.

    It cannot where it raises OSError, or one of `damaged`, as of a file that holds something else.
    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {expected}") from None
    except (OSError, *damaged) as error:  # type: ignore[misc]  # mypy reads no starred classes
        reason = getattr(error, "strerror", None) or one_line(error)
        raise InputError(f"{path}: {reason}; expected {expected}") from None


def one_line(error: Exception) -> str:
    """Return the message of `error` in one line, cut to 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"


def shorten(value: object) -> str:
    """Return `value` as Python writes it, cut to 40 characters, for a message."""
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "…"


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; what a person can mend becomes a line on standard error, status 1."""
    try:
        main()
        sys.stdout.flush()
    except InputError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except BrokenPipeError:
        # Python would try to write again as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit("error: standard output: closed; expected to be able to write it")
    except Exception as error:
        # torch says in its own words, of a GPU as well, where Python raises MemoryError.
        if isinstance(error, MemoryError) or re.search("(out of|allocate) memory", str(error)):
            expected = "enough for these images and this network"
            sys.exit(f"error: not enough memory ({one_line(error)}); expected {expected}")
        raise
