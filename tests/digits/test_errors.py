import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import numpy as np
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
        (lambda: fail(KeyboardInterrupt()), "interrupted$"),
        (lambda: np.empty(2**58), MEMORY),
        (lambda: torch.empty(2**58), MEMORY),
        (lambda: fail(torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB")), MEMORY),
        (lambda: fail(OSError("Cannot allocate memory")), MEMORY),
        (lambda: fail(ImportError("libtorch.so: failed to map segment")), MEMORY),
        (lambda: fail(RuntimeError("can't start new thread")), MEMORY),
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


PRINTER = """
import sys
from digits.errors import run_command

def main():
    print("x" * int(sys.argv[1]))

run_command(main)
"""


@pytest.mark.parametrize("flag", [[], ["-u"]], ids=["buffered", "at once"])
@pytest.mark.parametrize("length", [9, 2**20])
def test_an_output_that_cannot_be_written_becomes_one_line(flag: list[str], length: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    command = [sys.executable, *flag, "-c", PRINTER, str(length)]
    reader, closed = os.pipe()
    os.close(reader)
    ran = subprocess.run(command, env=environment, stdout=closed, stderr=PIPE, check=False)
    os.close(closed)
    line = "error: standard output: Broken pipe; expected to be able to write it\n"
    assert (ran.returncode, ran.stderr.decode()) == (1, line)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file"), "a/b: no such file; expected a table"),
        (PermissionError(13, "Permission denied"), "a/b: Permission denied; expected a table"),
        (ValueError("two\nlines"), "a/b: two lines; expected a table"),
        (ValueError(), "a/b: ValueError; expected a table"),
        (ValueError("x" * 300), f"a/b: {'x' * 200}…; expected a table"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_read_is_named_with_what_was_expected(
    error: Exception, message: str
) -> None:
    with pytest.raises(InputError) as told, expecting(Path("a/b"), "a table", ValueError):
        raise error
    assert str(told.value) == message


def test_a_value_is_written_briefly() -> None:
    assert [shorten("a"), shorten("a" * 50)] == ["'a'", "'" + "a" * 39 + "…"]
