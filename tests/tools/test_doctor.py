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

PROJECT = """[project]
dependencies = ["numpy>=2"{}]
[project.optional-dependencies]
studies = ["nothing-of-that-name"]
dev = ["pytest", "hypothesis"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder that has what doctor reads."""
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(""))
    (tmp_path / "constraints.txt").write_text(f"numpy=={version('numpy')}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_is_looked_at_and_a_fault_ends_in_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "DISK", 0.0)
    monkeypatch.setattr(doctor, "MEMORY", 0.0)
    doctor.main()
    told = capsys.readouterr().out
    for line in (
        f"ok     Python {platform.python_version()}; expected 3.11 to 3.13",
        "ok     every version as in constraints.txt",
        "note   studies (nothing-of-that-name): not installed; make setup EXTRA=studies does that",
        "ok     dev (pytest, hypothesis): installed",
    ):
        assert f"{line}\n" in told
    assert "note   git: fatal: not a git repository" in told
    monkeypatch.setattr(doctor, "DISK", 1e9)
    monkeypatch.setattr(doctor, "NEWEST", (3, 10))
    with pytest.raises(InputError, match="expected it mended before make repro"):
        doctor.main()
    told = capsys.readouterr().out
    assert "GB of disk free; expected 1e+09\n" in told
    assert f"wrong  Python {platform.python_version()}; expected 3.11 to 3.10\n" in told


def test_packages_that_are_missing_or_not_as_pinned_are_wrong(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(PROJECT.format(', "nothing-required"'))
    found = version("numpy")
    (folder / "constraints.txt").write_text(
        f"# scipy==1.0\nnumpy=={found} # why\nscipy=={version('scipy')} ; python_version < '4'\n"
        "nothing-of-an-extra==1.0\npandas==1.0\n"
    )
    words = f"nothing-required missing, pandas {version('pandas')}, pinned 1.0; rm -rf .venv && "
    told = f"other than in constraints.txt: {words}make setup mends that"
    assert next(doctor.check_packages()) == ("wrong", told)


def test_without_packages_the_machine_is_looked_at_all_the_same(folder: Path) -> None:
    # -S: without the packages of the environment.
    command = [sys.executable, "-S", "-m", "tools", "doctor"]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    told = subprocess.check_output(command, cwd=folder, env=variables, text=True)
    assert "note   packages: not installed for this Python; make repro does that" in told
    assert f"ok     {doctor.describe_processor()}\n" in told
    assert "GB of memory; expected 1\n" in told


def test_a_device_that_cannot_be_used_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_DEVICE", "tpu")
    _, (state, words) = doctor.check_packages()
    assert state == "wrong"
    assert words.startswith(f"{doctor.describe_processor()}; environment: DIGITS_DEVICE")


def test_programs_are_found_by_any_of_their_names_or_told_with_what_needs_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    git, (state, words) = doctor.check_programs()
    assert git == ("wrong", "git: missing; DVC needs it")
    assert (state, words.startswith("chromium: missing; ")) == ("note", True)
    (folder / "google-chrome").touch(mode=0o755)
    assert list(doctor.check_programs())[1] == ("ok", f"chromium: {folder / 'google-chrome'}")


@pytest.mark.parametrize(
    ("program", "told", "name"),
    [
        ("lscpu", "BIOS Model name:  no\n  Model name:  Neoverse-N1\n", "Neoverse-N1"),
        ("sysctl", "Apple M2\n", "Apple M2"),
        ("none", "", "unknown processor"),
    ],
)
def test_a_processor_is_named_as_its_system_names_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, told: str, name: str
) -> None:
    (folder / program).write_text(f"#!/bin/sh\nprintf '{told}'\n")
    (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    assert doctor.describe_processor() == f"{name} ({platform.machine()})"


def test_the_machine_is_processor_kernels_device_and_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIGITS_DEVICE", "cpu")
    told = doctor.describe_machine()
    kernels = torch.backends.cpu.get_cpu_capability()
    assert told.startswith(f"{doctor.describe_processor()}: {kernels} kernels, training on the CPU")
    assert told.endswith(f"; torch {torch.__version__}, Python {platform.python_version()}")
