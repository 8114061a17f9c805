import gc
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stages import __main__ as command
from stages._inputs import hash_path
from tests.sandbox import ROOT


def test_a_stage_runs_by_its_name_with_the_collector_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stages.prepare.main", lambda: f"collecting: {gc.isenabled()}")
    monkeypatch.setattr("digits.process.end_with_parent", lambda: None)
    monkeypatch.setattr(sys, "argv", ["stages", "prepare"])
    command.main()
    gc.unfreeze()
    assert re.fullmatch(r"prepare: collecting: True; \d+\.\d s\n", capsys.readouterr().out)


@pytest.mark.parametrize("name", ["nothing", "__init__", "../tools/verify", ""])
def test_what_is_no_stage_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "stages", name],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert f"invalid choice: {name!r} (choose from" in ran.stderr.splitlines()[-1]


def test_a_stage_knows_the_code_that_it_is_about_to_import_and_nothing_of_notebooks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MPLBACKEND", "TQDM_MININTERVAL", "FREETYPE_PROPERTIES", "STAGE_CODE"):
        monkeypatch.setenv(name, "foreign")
    code = command.hash_code()
    assert code["digits/network/training.py"] == hash_path(ROOT / "digits/network/training.py")
    assert code["stages/train.py"] == hash_path(ROOT / "stages/train.py")
    found = []
    for one in (code, code | {"digits/network/training.py": "0" * 32}):
        command.settle_environment(one)
        found.append(os.environ["STAGE_CODE"])
    assert len({*found, "foreign"}) == 3
    assert not {"MPLBACKEND", "TQDM_MININTERVAL", "FREETYPE_PROPERTIES"} & os.environ.keys()
