import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digits.process import alone
from tests.sandbox import ROOT

SLEEPER = """
import sys, time
from pathlib import Path
from digits.process import run_stage

def main():
    Path(sys.argv[1]).touch()
    time.sleep(float(sys.argv[2]))
    print("done", flush=True)

run_stage(main)
"""


def start(folder: Path, name: str, seconds: float) -> subprocess.Popen[str]:
    """Run a stage in `folder` that writes the file `name`, sleeps and says that it is done."""
    return subprocess.Popen(
        [sys.executable, "-c", SLEEPER, name, str(seconds)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"no {path}")


def test_two_stages_never_run_in_one_folder_at_once(tmp_path: Path) -> None:
    with start(tmp_path, "first", 60) as first:
        wait_for(tmp_path / "first")
        with start(tmp_path, "second", 0) as second:
            assert second.stderr is not None
            assert (
                second.stderr.readline() == "waiting for another stage that runs in this folder\n"
            )
            assert not (tmp_path / "second").exists()
            first.kill()
            assert second.communicate()[0] == "done\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_stages_in_two_folders_do_not_wait_for_each_other(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with start(tmp_path / "a", "first", 60) as first:
        wait_for(tmp_path / "a" / "first")
        with start(tmp_path / "b", "second", 0) as second:
            assert second.communicate() == ("done\n", "")
        first.kill()


def test_a_stage_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    # As DVC starts it: through a shell, in whose place `exec` puts it.
    command = f"exec env STAGE_PARENT=$PPID '{sys.executable}' -c '{SLEEPER}' stage 60"
    starter = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run(['sh', '-c', {command!r}])"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    wait_for(tmp_path / "stage")
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    with start(tmp_path, "next", 0) as following:
        assert following.communicate(timeout=30)[0] == "done\n"


def test_a_stage_whose_starter_has_ended_does_not_begin(tmp_path: Path) -> None:
    variable = {"STAGE_PARENT": "1"}  # not the number of this process
    ended = subprocess.run(
        [sys.executable, "-c", SLEEPER, "stage", "0"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variable,
        check=False,
    )
    assert ended.returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_locked_is_warned_of_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("digits.process.flock", refuse)
    with alone(tmp_path):
        pass
    assert capsys.readouterr().err == (
        "warning: this folder cannot be locked (Bad file descriptor)\n"
    )
    with pytest.raises(OSError, match="Bad file descriptor"), alone(tmp_path, wait=False):
        pytest.fail("begun")
