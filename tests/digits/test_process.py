import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from digits import process
from digits.errors import InputError
from tests.sandbox import ROOT

STAGE = """
import sys, time
from pathlib import Path
from digits.files import replacing
from digits.process import run_stage

def main():
    with replacing(Path("result")) as result:
        result.touch()
        Path(sys.argv[1]).touch()
        time.sleep(float(sys.argv[2]))
    print("done", flush=True)

run_stage(main)
"""
# As DVC does: by a shell, which may stay.
STARTER = f"""
import subprocess
subprocess.run(["sh", "-c", "'{sys.executable}' stage.py ready 60; true"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a stage and what starts it."""
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "starter.py").write_text(STARTER)
    return tmp_path


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    """Run Python in `folder`."""
    return subprocess.Popen(
        [sys.executable, *command],
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


def test_two_stages_never_run_in_one_folder_at_once(folder: Path) -> None:
    with start(folder, "stage.py", "first", "60") as first:
        wait_for(folder / "first")
        with start(folder, "stage.py", "second", "0") as second:
            assert second.stderr is not None
            assert second.stderr.readline().startswith("waiting for another stage that runs in")
            time.sleep(0.5)
            assert not (folder / "second").exists()
            first.kill()
            assert second.communicate()[0] == "done\n"


@pytest.mark.parametrize("name", ["starter", "stage"])
def test_a_stage_ends_tidily_when_it_or_what_started_it_is_ended(folder: Path, name: str) -> None:
    with start(folder, "starter.py") as starter:
        wait_for(folder / "ready")
        *_, stage = psutil.Process(starter.pid).children(recursive=True)
        {"starter": starter.kill, "stage": stage.terminate}[name]()
        stage.wait(timeout=3)
        starter.kill()
    assert not [*folder.glob("result*")]


WORKER = {"TORCHELASTIC_RUN_ID": "group", "RANK": "0", "LOCAL_RANK": "0"}


def become_worker(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    monkeypatch.setattr(process, "SHORTLY", 0.1)
    for name, value in (WORKER | changes).items():
        monkeypatch.setenv(name, value)


def test_workers_run_beside_each_other_but_not_beside_another_group(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with process.alone():
        for changes in ({"RANK": "1"}, {process.STARTED: "1"}):
            with monkeypatch.context() as patch:
                become_worker(patch, **changes)
                with process.alone():
                    pass
        become_worker(monkeypatch)
        with pytest.raises(InputError, match=r"running\.lock: another run of a stage in this fol"):
            process.alone().__enter__()


@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize("error", [InputError("one line"), MemoryError("more")])
def test_what_a_worker_cannot_do_is_said_once_and_ends_the_group(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rank: str,
    error: Exception,
) -> None:
    become_worker(monkeypatch, LOCAL_RANK=rank, DIGITS_STARTED="1")
    done = list[object]()
    monkeypatch.setattr("time.sleep", done.append)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.kill", lambda *whom: done.append(whom))
    monkeypatch.setattr(process, "end_with_parent", lambda: None)
    monkeypatch.setattr("os._exit", sys.exit)

    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        process.run_stage(fail)
    line = {InputError: "one line", MemoryError: "not enough memory (more); expected enough for"}
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: {line[type(error)]}")
    # The first of a machine says it; the others would, if it did not.
    waited = [process.SHORTLY] if rank == "1" else []
    assert done == [*waited, (os.getppid(), signal.SIGTERM)]
