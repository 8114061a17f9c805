import gc
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stages import __main__ as command
from tests.sandbox import ROOT


@pytest.mark.usefixtures("project")
def test_a_stage_runs_by_its_name_without_what_notebooks_export_and_with_the_collector_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dvc.yaml").write_text("stages: {}")
    monkeypatch.setattr("stages.prepare.main", lambda: f"collecting: {gc.isenabled()}")
    monkeypatch.setattr("digits.process.end_with_parent", lambda: None)
    monkeypatch.setattr(sys, "argv", ["stages", "prepare"])
    for name in ("MPLBACKEND", "TQDM_MININTERVAL", "FREETYPE_PROPERTIES"):
        monkeypatch.setenv(name, "foreign")
    command.main()
    gc.unfreeze()
    assert re.fullmatch(r"prepare: collecting: True; \d+\.\d s\n", capsys.readouterr().out)
    assert "foreign" not in os.environ.values()


@pytest.mark.parametrize(
    ("options", "stage", "line"),
    [
        (["-E", "-S"], "train", r"error: \S+: No module named '\w+'; expected .*make setup"),
        ([], "_inputs", r".*: invalid choice: '_inputs' \(choose from .*"),
    ],
)
def test_what_cannot_run_is_told_in_one_line(options: list[str], stage: str, line: str) -> None:
    arguments = [sys.executable, *options, "-m", "stages", stage]  # -S: no packages
    ran = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode > 0
    assert re.fullmatch(line, ran.stderr.splitlines()[-1])
    assert "Traceback" not in ran.stderr
