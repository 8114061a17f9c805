"""What the targets of the Makefile do with what comes from outside, and with what is there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.sandbox import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an environment whose programs note what they are given."""
    for name in ("python", "dvc"):
        path = tmp_path / ".venv" / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\nprintf "%s\\n" "[$PYTHONPATH]" "$@" >> told\n')
        path.chmod(0o755)
    names = ("constraints.txt", "pyproject.toml", "benchmarks/requirements.txt")
    for name in (*names, ".venv/ready", ".peers/ready"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{tmp_path}\n")
    return tmp_path


def make(folder: Path, *words: str) -> str:
    """Return what make prints."""
    command = ["make", "-f", str(ROOT / "Makefile"), *words]
    variables = os.environ | {"PYTHONPATH": "elsewhere"}
    return subprocess.run(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=False
    ).stdout


@pytest.mark.parametrize(
    "name",
    [
        *("diff REV", "verify REV", "compare REV"),
        *("study STUDY", "bench RUNS", "setup EXTRA"),
    ],
)
def test_what_comes_from_outside_is_an_argument_and_never_run(folder: Path, name: str) -> None:
    hostile = "x;id>made;`id>made`;*'\""
    make(folder, *f"{name}={hostile}".split(" ", 1))
    assert not (folder / "made").exists()
    told = (folder / "told").read_text()
    assert hostile in told
    assert set(re.findall(r"^\[.*\]$", told, re.MULTILINE)) == {"[]"}  # nor does PYTHONPATH come in


def test_an_environment_that_was_moved_is_made_anew(folder: Path) -> None:
    assert "venv .venv" not in make(folder, "--dry-run", "repro")
    (folder / ".venv" / "ready").write_text("/where/it/was\n")
    assert "venv .venv" in make(folder, "--dry-run", "repro")


def test_clean_leaves_all_that_git_has(tmp_path: Path) -> None:
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    made = [".venv/bin/python", "data/mnist/train.csv", "models/a.safetensors", "report/index.html"]
    for name in (*tracked, *made):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    make(tmp_path, "clean")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == set(tracked)
