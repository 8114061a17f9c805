import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock
from psutil import Process

from digits.errors import InputError
from digits.params import load_params
from digits.process import DVC, alone
from tests.sandbox import ROOT
from tools import recovery
from tools.project import LOCK, stored
from tools.recovery import BUSY, LOCKS

WHOLE = "schema: '2.0'\nstages: {}\n"
CACHE = Path(".dvc/cache")


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a repository in which DVC has run, with a committed dvc.lock."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setattr(recovery, "find_cache", lambda: CACHE)
    LOCK.write_text(WHOLE)
    for name in ("params.yaml", "dvc.yaml"):
        Path(name).write_bytes((ROOT / name).read_bytes())
    DVC.mkdir(parents=True)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init"], ["add", "dvc.lock"], [*who, "commit", "--message", "Begin"]):
        subprocess.run(["git", *command], check=True, capture_output=True)
    return tmp_path


UNHASHED = "stages: {one: {outs: [{path: a}]}}\n"


@pytest.mark.parametrize("torn", ["", "stages:\n  one:\n    cm", "stages:\n", UNHASHED, WHOLE[:-1]])
def test_a_dvc_lock_that_was_cut_short_becomes_the_commits(
    capsys: pytest.CaptureFixture[str], torn: str
) -> None:
    LOCK.write_text(torn)
    recovery.main()
    assert LOCK.read_text() == WHOLE
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("recovery: dvc.lock: ")
    assert line.endswith(
        "; it is the last commit's again, and the damaged one is .dvc/tmp/dvc.lock"
    )
    assert (DVC / LOCK).read_text() == torn


def test_a_dvc_lock_that_no_commit_has_goes(capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "update-ref", "-d", "HEAD"], check=True)
    LOCK.write_text("schema")
    recovery.main()
    assert not LOCK.exists()
    assert "; removed, since no commit has it, and the damaged one is" in capsys.readouterr().out


def test_conflicts_of_a_merge_in_dvc_lock_are_told_and_stay() -> None:
    text = f"{WHOLE}<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n"
    LOCK.write_text(text)
    with pytest.raises(InputError, match=r"^dvc.lock: conflicts of a merge; expected them resolv"):
        recovery.main()
    assert LOCK.read_text() == text


def test_neither_lock_is_touched_while_a_dvc_is_at_work() -> None:
    LOCKS.write_text("")
    with FileLock(BUSY):
        recovery.main()
    assert LOCKS.exists()


def test_whole_files_stay_and_none_are_no_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    LOCK.write_text(WHOLE + "# edited\n")
    recovery.main()
    assert LOCK.read_text() == WHOLE + "# edited\n"
    LOCK.unlink()
    recovery.main()
    shutil.rmtree(DVC)
    recovery.main()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "torn", ["", "[]", '{"write": {"/x": 1}}', '{"write": {"/x": {"pid": 1}}}']
)
def test_a_list_of_locks_that_cannot_be_read_goes(torn: str) -> None:
    LOCKS.write_text(torn)
    recovery.main()
    assert not LOCKS.exists()


MINE, NONE = Process(), 2**22 + 1
COMMAND = " ".join(MINE.cmdline())


@pytest.mark.parametrize(
    ("number", "command", "stays"),
    [(MINE.pid, COMMAND, True), (MINE.pid, "dvc repro --force", False), (NONE, COMMAND, False)],
    ids=["running", "another", "none"],
)
def test_locks_stay_as_long_as_the_dvc_that_holds_them(
    number: int, command: str, *, stays: bool
) -> None:
    info = {"pid": number, "cmd": command}
    LOCKS.write_text(json.dumps({"write": {"/x": info}, "read": {"/y": [info]}}))
    recovery.main()
    assert LOCKS.exists() is stays


@pytest.mark.parametrize("running", [False, True])
def test_what_killed_stages_were_writing_goes_unless_one_is_running(*, running: bool) -> None:
    Path("data/prepared.01234567.partial").mkdir(parents=True)
    Path("data/prepared.01234567.partial/raw").touch()
    Path("data/mnist.01234567.partial").mkdir()
    Path("models").mkdir()
    theirs = [
        Path(f"{name}.01234567.partial") for name in ("submission.csv", "models/a.checkpoint")
    ]
    mine = [Path(f"{name}.01234567.partial") for name in ("mine", "data/train.csv", "models/mine")]
    mine += [Path("submission.csv.partial"), Path("submission.csv.mine.partial")]
    for path in [*theirs, *mine]:
        path.touch()
    before = sorted(Path().rglob("*.partial"))
    if running:
        with alone(DVC):
            recovery.main()
    else:
        recovery.main()
    assert sorted(Path().rglob("*.partial")) == (before if running else sorted(mine))


def keep(content: bytes, md5: str) -> Path:
    path = stored(CACHE, md5)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def lock(**outs: str) -> None:
    """Write a dvc.lock with these outputs and their hashes."""
    listed = [{"path": path, "hash": "md5", "md5": md5} for path, md5 in outs.items()]
    LOCK.write_text(json.dumps({"stages": {"one": {"outs": listed}}}) + "\n")


RIGHT = hashlib.md5(b"right").hexdigest()
LIST = json.dumps([{"md5": RIGHT, "relpath": "a"}]).encode()
LISTED = f"{hashlib.md5(LIST).hexdigest()}.dir"


def test_damaged_bytes_in_the_cache_go_with_the_results_that_have_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock(result=RIGHT, folder=LISTED)
    Path("folder").mkdir()
    names = ("result", "folder/a")
    for name in names:
        Path(name).write_bytes(b"right")
    path, listing = keep(b"right", RIGHT), keep(LIST, LISTED)
    recovery.main()
    assert capsys.readouterr().out == ""
    path.write_bytes(b"wrong")
    Path("folder/a").write_bytes(b"wrong")
    recovery.main()
    assert [path.exists(), *(Path(name).exists() for name in names)] == [False, True, False]
    listing.write_bytes(b"[]")
    recovery.main()
    assert not listing.exists()
    line = "recovery: DVC's cache held damaged bytes of {}; removed, to be built anew\n"
    assert capsys.readouterr().out == "".join(map(line.format, [*names, "folder"]))


@pytest.mark.parametrize("key", ["train", "test"])
@pytest.mark.parametrize(
    ("name", "message"),
    [("no.csv", "no such file"), (".dvc", "Is a directory"), ("x" * 300, "File name too long")],
    ids=["missing", "folder", "long"],
)
def test_a_file_of_ones_own_that_cannot_be_read_is_told_with_what_to_do(
    key: str, name: str, message: str
) -> None:
    data = load_params(changes={f"data.{key}": name}).data
    line = (
        f"params.yaml: data.{key} = {name!r}: {message}; expected a CSV file of images; data/READ"
    )
    with pytest.raises(InputError, match=f"^{re.escape(line)}"):
        recovery.check_data(data)


def test_what_may_not_be_mended_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    LOCKS.write_text("")
    monkeypatch.setattr(Path, "unlink", refuse)
    line = "rwlock: Permission denied; expected files that make repro may put right"
    with pytest.raises(InputError, match=f"{line}$"):
        recovery.main()
