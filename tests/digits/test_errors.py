import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import pytest
import torch

from digits.errors import InputError, expecting, run_command, shorten
from tests.sandbox import ROOT


def fail(error: BaseException) -> None:
    raise error


MEMORY = r"error: not enough memory \(.+\); expected enough"


@pytest.mark.parametrize(
    ("main", "line"),
    [
        (lambda: fail(InputError("train.csv: row 3: a\nb")), r"error: train.csv: row 3: a\\nb$"),
        (lambda: fail(InputError("a\\b.csv: no")), r"error: a\\b.csv: no$"),
        (lambda: fail(KeyboardInterrupt()), "interrupted$"),
        (lambda: bytes(2**58), MEMORY),
        (lambda: torch.empty(2**58), MEMORY),
        (
            lambda: fail(torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB")),
            r"error: not enough memory \(CUDA out of memory. Tried 2 GiB\); expected enough",
        ),
    ],
)
def test_what_a_person_can_mend_becomes_one_line(main: Callable[[], None], line: str) -> None:
    with pytest.raises(SystemExit, match=f"^{line}"):
        run_command(main)


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: fail(ZeroDivisionError()))
    with pytest.raises(KeyError), expecting(Path("a/b"), "a table", ValueError):
        raise KeyError


def test_an_output_that_nobody_reads_any_more_becomes_one_line() -> None:
    program = "from digits.errors import run_command; run_command(lambda: print('x'))"
    reader, closed = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=ROOT, stdout=closed, stderr=PIPE, text=True, check=False)
    os.close(closed)
    line = "error: standard output: closed; expected to be able to write it\n"
    assert (ran.returncode, ran.stderr) == (1, line)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file"), "no such file"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (ValueError("two\nlines"), "two lines"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 200), "x" * 200),
        (ValueError("x" * 201), "x" * 200 + "…"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_read_is_named_with_what_was_expected(
    error: Exception, reason: str
) -> None:
    with pytest.raises(InputError) as told, expecting(Path("a/b"), "a table", ValueError):
        raise error
    assert str(told.value) == f"a/b: {reason}; expected a table"


def test_a_value_is_written_briefly() -> None:
    whole = repr("a" * 38)
    assert [shorten("a" * 38), shorten("a" * 39)] == [whole, whole[:-1] + "a…"]
