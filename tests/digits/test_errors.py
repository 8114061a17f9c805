import os
import subprocess
import sys
from collections.abc import Callable
from errno import ENOMEM
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
import torch

from digits.errors import InputError, expecting, run_command, shorten
from tests.sandbox import ROOT


def test_an_input_error_becomes_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise InputError("train.csv: row 3: no")

    with pytest.raises(SystemExit) as stopped:
        run_command(main)
    assert stopped.value.code == "error: train.csv: row 3: no"


def test_a_bug_keeps_its_traceback() -> None:
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(main)


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "main",
    [
        lambda: np.empty(2**58),
        lambda: torch.empty(2**58),
        lambda: bytearray(2**62),
        lambda: fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")),
        lambda: fail(OSError(ENOMEM, os.strerror(ENOMEM))),
        lambda: fail(ImportError("libtorch.so: failed to map segment from shared object")),
        lambda: fail(RuntimeError("can't start new thread")),
    ],
    ids=["numpy", "torch", "python", "gpu", "system", "library", "thread"],
)
def test_a_lack_of_memory_becomes_one_line(main: Callable[[], None]) -> None:
    with pytest.raises(SystemExit, match=r"^error: not enough memory \(.+\); expected enough"):
        run_command(main)


PRINTER = """
import sys
from digits.errors import run_command

def main():
    print("x" * int(sys.argv[1]))
    {end}

run_command(main)
"""


@pytest.mark.parametrize("flag", [[], ["-u"]], ids=["buffered", "at once"])
@pytest.mark.parametrize("length", [9, 2**20])
@pytest.mark.parametrize("end", ["", "sys.exit(1)"], ids=["end", "exit"])
def test_an_output_that_cannot_be_written_becomes_one_line(
    flag: list[str], length: int, end: str
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    command = [sys.executable, *flag, "-c", PRINTER.format(end=end), str(length)]
    reader, closed = os.pipe()
    os.close(reader)
    outputs = {closed: "Broken pipe"}
    if Path("/dev/full").exists():
        outputs[os.open("/dev/full", os.O_WRONLY)] = "No space left on device"
    for output, reason in outputs.items():
        ran = subprocess.run(command, env=environment, stdout=output, stderr=PIPE, check=False)
        os.close(output)
        line = f"error: standard output: {reason}; expected to be able to write it\n"
        assert (ran.returncode, ran.stderr.decode()) == (1, line)


def test_no_output_at_all_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    run_command(lambda: print("unheard"))


def test_an_interruption_is_told_in_one_word() -> None:
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="interrupted"):
        run_command(main)


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


def test_what_is_no_damage_stays_a_bug() -> None:
    with pytest.raises(KeyError), expecting(Path("a/b"), "a table", ValueError):
        raise KeyError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        ("a" * 50, "'" + "a" * 39 + "…"),
        (1 << 20_000, "a number too long to write"),
        ([[[[[[[[1]]]]]]]], "[[[[[[[...]]]]]]]"),
    ],
    ids=["short", "long", "endless", "deep"],
)
def test_a_value_is_written_briefly(value: object, text: str) -> None:
    assert shorten(value) == text
