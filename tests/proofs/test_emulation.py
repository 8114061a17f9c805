import re
import sys
from pathlib import Path

import pytest

from digits.errors import InputError
from proofs import emulation
from proofs.sandbox import ROOT
from stages import prepare


@pytest.fixture
def study(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare.main()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "argv", ["emulation", "--steps", "5"])
    return project


def test_another_process_gives_the_bytes_of_this_one(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = emulation.digest(5)
    capsys.readouterr()
    machines = {"other": ["env", "MKL_CBWR=AVX2", "OMP_NUM_THREADS=1"]}
    monkeypatch.setattr(emulation, "MACHINES", machines)
    emulation.main()
    told = capsys.readouterr().out
    assert dict(re.findall(r"  (\w+) +([0-9a-f]{64})\n", told)) == expected
    assert told.endswith("the same bytes: 1 of 1\n")


def test_machines_that_differ_are_an_error(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "run", lambda machine, *_: f"{machine}\n")
    with pytest.raises(InputError, match="4 different results; expected the same bytes"):
        emulation.main()


def test_a_missing_emulator_is_named(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "MACHINES", {"other": ["qemu-none"]})
    with pytest.raises(InputError, match=r"^qemu-none: not installed; expected it for 'other'$"):
        emulation.main()
