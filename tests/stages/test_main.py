import gc
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages import __main__ as command
from tests.conftest import ParamsWriter
from tests.sandbox import ROOT


@pytest.mark.usefixtures("project")
def test_a_stage_runs_by_its_name_without_what_notebooks_export_and_fails_where_an_input_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], write_params: ParamsWriter
) -> None:
    Path("dvc.yaml").write_text("stages: {prepare: {params: [prepare]}}")
    monkeypatch.setattr("stages.prepare.main", lambda: f"collecting: {gc.isenabled()}")
    monkeypatch.setattr("digits.process.end_with_parent", lambda: None)
    monkeypatch.setattr(sys, "argv", ["stages", "prepare"])
    for name in ("MPLBACKEND", "TQDM_MININTERVAL", "FREETYPE_PROPERTIES"):
        monkeypatch.setenv(name, "foreign")
    command.main()
    gc.unfreeze()
    assert re.fullmatch(r"prepare: collecting: True; \d+\.\d s\n", capsys.readouterr().out)
    assert "foreign" not in os.environ.values()
    monkeypatch.setattr("stages.prepare.main", lambda: write_params({"prepare.seed": 1}))
    with pytest.raises(SystemExit, match=r"prepare\.seed = 1, and 0 when prepare began: nothing"):
        command.main()


def run_bare(folder: Path, stage: str) -> subprocess.CompletedProcess[str]:
    """Run a stage in `folder` with a Python that has no packages."""
    shutil.copytree(ROOT / "stages", folder / "stages")
    python = [sys.executable, "-E", "-S", "-m", "stages", stage]
    return subprocess.run(python, cwd=folder, capture_output=True, text=True, check=False)


def test_a_python_without_packages_hands_over_to_that_of_the_project(tmp_path: Path) -> None:
    ran = run_bare(tmp_path / "alone", "train")
    assert re.fullmatch(r"error: \S+ lacks \w+; expected .venv: run make setup\n", ran.stderr)
    venv = tmp_path / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    (venv / "python").chmod(0o755)
    ran = run_bare(tmp_path, "train")
    assert (ran.returncode, ran.stdout) == (3, "-E -m stages train\n")


def test_what_is_no_stage_is_refused_in_one_line() -> None:
    arguments = [sys.executable, "-m", "stages", "_inputs"]
    ran = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "invalid choice: '_inputs' (choose from" in ran.stderr.splitlines()[-1]
