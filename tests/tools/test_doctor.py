import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from digits.errors import InputError
from tests.sandbox import ROOT
from tools import doctor


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with pinned versions, on a processor with a name and a machine that fits."""
    pins = f"# pandas==1.0\nnumpy=={version('numpy')} # why\nnothing-of-an-extra==1.0\n"
    (tmp_path / "constraints.txt").write_text(pins)
    named = "BIOS Model name:  no\\n  Model name:  Neoverse-N1\\n"
    (tmp_path / "lscpu").write_text(f"#!/bin/sh\nprintf '{named}'\n")
    (tmp_path / "lscpu").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DIGITS_DEVICE", "cpu")
    monkeypatch.setattr(doctor, "DISK", 0.0)
    monkeypatch.setattr(doctor, "MEMORY", 0.0)
    return tmp_path


def test_what_is_as_it_should_be_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.main()
    python, machine, *others = capsys.readouterr().out.splitlines()
    assert python == f"ok     Python {platform.python_version()}; expected 3.11 to 3.13"
    kernels = torch.backends.cpu.get_cpu_capability()
    processor = f"Neoverse-N1 ({platform.machine()})"
    assert machine.startswith(f"ok     {processor}: {kernels} kernels, training on the CPU")
    assert machine.endswith(f"; torch {torch.__version__}, Python {platform.python_version()}")
    assert others[0] == "ok     versions other than in constraints.txt: none"
    assert [line.partition(" GB of ")[2] for line in others[1:]] == [
        "disk free; expected 0",
        "memory; expected 0",
    ]


def test_all_that_is_wrong_is_told_and_ends_in_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "NEWEST", (3, 10))
    monkeypatch.setattr(doctor, "DISK", 1e9)
    monkeypatch.setenv("DIGITS_DEVICE", "tpu")
    (folder / "constraints.txt").write_text("numpy==1.0\n")
    with pytest.raises(InputError, match="expected it mended before make repro"):
        doctor.main()
    told = capsys.readouterr().out
    assert f"wrong  Python {platform.python_version()}; expected 3.11 to 3.10\n" in told
    assert f"wrong  {doctor.describe_processor()}; environment: DIGITS_DEVICE" in told
    pinned = f"numpy {version('numpy')}, pinned 1.0; rm -rf .venv && make setup mends that"
    assert f"wrong  versions other than in constraints.txt: {pinned}\n" in told
    assert "GB of disk free; expected 1e+09\n" in told


def test_without_packages_the_machine_is_looked_at_all_the_same(folder: Path) -> None:
    # -S: without the packages of the environment.
    command = [sys.executable, "-S", "-m", "tools", "doctor"]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    told = subprocess.check_output(command, cwd=folder, env=variables, text=True)
    assert "torch: not installed for this Python; make repro does that, in .venv\n" in told
    assert "GB of memory; expected 1\n" in told
