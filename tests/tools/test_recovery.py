import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from digits.errors import InputError
from digits.params import load_params
from digits.process import alone
from tests.sandbox import ROOT
from tools import recovery
from tools.project import stored

LOCK, LOCKS = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
WHOLE = "schema: '2.0'\nstages: {}\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a Git repository with a committed dvc.lock."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    LOCK.write_text(WHOLE)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    LOCKS.parent.mkdir(parents=True)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init"], ["add", "dvc.lock"], [*who, "commit", "--message", "Begin"]):
        subprocess.run(["git", *command], check=True, capture_output=True)
    return tmp_path


@pytest.mark.parametrize(
    "torn",
    [
        "",
        "schema: '2.0'\nstages:\n  download:\n    cm",
        "schema: '2.0'\nstages:\n",
        "schema: '2.0'\nstages:\n  download:\n    outs:\n    - path: a\n",
        "schema: '2.0'\nstages: {",
    ],
)
def test_a_dvc_lock_that_was_cut_short_becomes_the_commits(
    repository: Path, capsys: pytest.CaptureFixture[str], torn: str
) -> None:
    LOCK.write_text(torn)
    recovery.main()
    assert LOCK.read_text() == WHOLE
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("recovery: dvc.lock: ")
    kept = line.removeprefix(line[: line.index(".dvc/tmp/dvc.lock.")])
    assert line.endswith(f"; it is the last commit's again, and the damaged one is {kept}")
    assert Path(kept).read_text() == torn


def test_a_dvc_lock_that_no_commit_has_goes(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "update-ref", "-d", "HEAD"], check=True)
    LOCK.write_text("schema")
    recovery.main()
    assert not LOCK.exists()
    assert "; removed, since no commit has it, and the damaged one is" in capsys.readouterr().out


def test_conflicts_of_a_merge_in_dvc_lock_are_told_and_stay(repository: Path) -> None:
    text = f"{WHOLE}<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n"
    LOCK.write_text(text)
    with pytest.raises(InputError, match=r"^dvc.lock: conflicts of a merge; expected them resolv"):
        recovery.main()
    assert LOCK.read_text() == text


def test_a_directory_in_the_place_of_dvc_lock_is_told_and_stays(repository: Path) -> None:
    LOCK.unlink()
    LOCK.mkdir()
    with pytest.raises(InputError, match=r"^dvc.lock: Is a directory; expected what DVC writes"):
        recovery.main()
    assert LOCK.is_dir()


def test_neither_lock_is_touched_while_a_dvc_is_at_work(repository: Path) -> None:
    LOCK.write_text("stages: {}")
    LOCKS.write_text("")
    with recovery.BUSY.open("a") as lock:
        flock(lock, LOCK_EX)
        recovery.main()
    assert (LOCK.read_text(), LOCKS.read_text()) == ("stages: {}", "")


def test_nothing_is_done_where_no_dvc_has_run(repository: Path) -> None:
    LOCK.write_text("")
    LOCKS.parent.rmdir()
    recovery.main()
    assert LOCK.read_text() == ""


def test_a_whole_dvc_lock_stays_and_none_is_no_trouble(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LOCK.write_text(WHOLE + "# edited\n")
    recovery.main()
    assert LOCK.read_text() == WHOLE + "# edited\n"
    LOCK.unlink()
    recovery.main()
    assert capsys.readouterr().out == ""


@pytest.fixture
def running() -> Iterator[int]:
    """Yield the number of a running process whose command says dvc."""
    command = ["sh", "-c", "echo ready; sleep 60; true", "dvc", "repro", "--force"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def write_locks(number: int) -> None:
    info = {"pid": number, "cmd": "dvc repro --force"}
    LOCKS.write_text(json.dumps({"write": {"/x": info}, "read": {"/y": [info]}}))


@pytest.mark.parametrize("torn", ["", '{"write": {"/x": {"pid"', "[]", '{"write": {"/x": 1}}'])
def test_a_list_of_locks_that_cannot_be_read_goes(repository: Path, torn: str) -> None:
    LOCKS.write_text(torn)
    recovery.main()
    assert not LOCKS.exists()


@pytest.mark.parametrize("number", [os.getpid(), 2**22 + 1], ids=["another", "none"])
def test_locks_of_processes_that_are_not_dvc_go(repository: Path, number: int) -> None:
    write_locks(number)
    recovery.main()
    assert not LOCKS.exists()


def test_locks_of_a_running_dvc_stay(repository: Path, running: int) -> None:
    write_locks(running)
    recovery.main()
    assert LOCKS.exists()


def test_a_list_that_dvc_is_just_writing_stays(repository: Path) -> None:
    LOCKS.write_text("")
    with LOCKS.with_name("rwlock.lock").open("a") as guard:
        flock(guard, LOCK_EX)
        recovery.main()
    assert LOCKS.exists()


A, B = "a" * 32, "b" * 32
LOCKED = f"""schema: '2.0'
stages:
  prepare:
    cmd: python -m stages.prepare
    outs:
    - {{path: data/prepared/train, hash: md5, md5: {A}.dir}}
    - {{path: submission.csv, hash: md5, md5: {B}}}
"""


def test_what_killed_stages_were_writing_goes(repository: Path) -> None:
    LOCK.write_text(LOCKED)
    Path("data/prepared.01234567.partial").mkdir(parents=True)
    Path("data/prepared.01234567.partial/raw").touch()
    Path("data/mnist.01234567.partial").mkdir()
    Path("submission.csv.89abcdef.partial").touch()
    Path("models").mkdir()
    Path("models/0123456789abcdef.checkpoint.01234567.partial").touch()
    mine = [Path(f"{name}.01234567.partial") for name in ("mine", "data/train.csv", "models/mine")]
    mine += [Path("submission.csv.partial"), Path("submission.csv.mine.partial")]
    for path in mine:
        path.touch()
    recovery.main()
    assert sorted(Path().rglob("*.partial")) == sorted(mine)


def test_what_a_running_stage_is_writing_stays(repository: Path) -> None:
    LOCK.write_text(LOCKED)
    Path("submission.csv.01234567.partial").touch()
    with alone(Path()):
        recovery.main()
    assert Path("submission.csv.01234567.partial").exists()


def keep(content: bytes, md5: str) -> Path:
    path = stored(CACHE, md5)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_damaged_bytes_in_the_cache_go_with_the_results_that_have_them(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    md5 = hashlib.md5(b"right").hexdigest()
    LOCK.write_text(LOCKED.replace(B, md5))
    path = keep(b"right", md5)
    Path("submission.csv").write_bytes(b"right")
    recovery.main()
    assert capsys.readouterr().out == ""
    path.write_bytes(b"wrong")
    recovery.main()
    assert not path.exists()
    assert Path("submission.csv").exists()
    assert capsys.readouterr().out == (
        "recovery: DVC's cache held damaged bytes of submission.csv; removed, to be built anew\n"
    )
    keep(b"wrong", md5)
    LOCK.write_text(LOCK.read_text() + f"    - {{path: same.csv, hash: md5, md5: {md5}}}\n")
    for name in ("submission.csv", "same.csv"):
        Path(name).write_bytes(b"wrong")
    recovery.main()
    assert not list(Path().glob("*.csv"))


def test_a_damaged_list_of_a_directory_goes(repository: Path) -> None:
    LOCK.write_text(LOCKED)
    path = keep(b"[]", f"{A}.dir")
    recovery.main()
    assert not path.exists()


def test_a_file_of_ones_own_that_is_missing_is_told_with_what_to_do(repository: Path) -> None:
    params = Path("params.yaml")
    recovery.main()
    params.write_text(params.read_text().replace("data/mnist/test.csv", "data/kaggle/test.csv"))
    line = r"^params.yaml: data.test = 'data/kaggle/test.csv': no such file; .* data/README.md says"
    with pytest.raises(InputError, match=line):
        recovery.main()
    Path("data/kaggle").mkdir(parents=True)
    Path("data/kaggle/test.csv").touch()
    recovery.main()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pipe.csv", "no regular file"),
        ("data/mnist/pipe.csv", "no regular file"),
        ("/dev/zero", "no regular file"),
        ("data", "no regular file"),
        ("x" * 300, "File name too long"),
        ("data/mnist/" + "x" * 300, "File name too long"),
        ("x\0", "embedded null byte"),
        ("pipe.csv/x", "Not a directory"),
    ],
    ids=lambda name: name[:20],
)
def test_what_dvc_could_not_read_to_an_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data/mnist").mkdir(parents=True)
    for pipe in ("pipe.csv", "data/mnist/pipe.csv"):
        os.mkfifo(pipe)
    for key in ("train", "test"):
        data = load_params(ROOT / "params.yaml", {f"data.{key}": name}).data
        line = f"params.yaml: data.{key} = {name!r}: {message}; expected a CSV file of images"
        with pytest.raises(InputError, match=f"^{re.escape(line)}"):
            recovery.check_data(data)


@pytest.mark.parametrize("folder", [".", "data/mnist"])
@pytest.mark.parametrize("method", ["stat", "open"])
def test_a_file_or_folder_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, method: str
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.chdir(tmp_path)
    path = Path(folder) / "train.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    data = load_params(ROOT / "params.yaml", {"data.train": str(path)}).data
    recovery.check_data(data)
    monkeypatch.setattr(Path, method, refuse)  # the superuser may read all
    with pytest.raises(InputError, match=r"^params.yaml: data.train = '.*': Permission denied; ex"):
        recovery.check_data(data)


NOTE = Path(".dvc/tmp/stages/01234567.json")
CACHE = Path(".dvc/cache")
RUN = CACHE / "runs/aa/aaaa/bbbb"
ENTRY = f"""\
cmd: train
deps:
- {{path: train.py, md5: {A}}}
params:
  params.yaml:
    train: {{momentum: 0.5}}
outs:
- {{path: model, md5: {B}}}
"""


@pytest.fixture
def recorded(repository: Path) -> dict[str, dict[str, object]]:
    """Have DVC record a training; return what it was made from and what came of it."""
    lines = "".join(f"    {line}\n" for line in ENTRY.splitlines())
    LOCK.write_text(f"schema: '2.0'\nstages:\n  first: {{cmd: x}}\n  train:\n{lines}")
    RUN.parent.mkdir(parents=True)
    RUN.write_text(ENTRY)
    NOTE.parent.mkdir()
    return {
        "inputs": {"params.yaml: train.momentum": 0.5, "train.py": A},
        "outputs": {"model": B},
    }


def leave(note: dict[str, dict[str, object]], momentum: float) -> None:
    """Leave the note of a training with that momentum."""
    inputs = note["inputs"] | {"params.yaml: train.momentum": momentum}
    content = {"stage": "train", "lock": "dvc.lock", **note, "inputs": inputs}
    NOTE.write_text(json.dumps(content))
    for path in (LOCK, RUN):
        path.touch()


def test_what_was_edited_as_a_stage_ended_is_forgotten_by_dvc(
    recorded: dict[str, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    leave(recorded, 0.9)
    recovery.forget_edited(CACHE)
    assert LOCK.read_text() == "schema: '2.0'\nstages:\n  first:\n    cmd: x\n"
    assert not RUN.exists()
    assert not NOTE.exists()
    assert capsys.readouterr().out == (
        "recovery: params.yaml: train.momentum = 0.5, and 0.9 when train ran, edited as it ended: "
        "train is to run again\n"
    )


def test_what_was_recorded_as_it_ran_or_long_after_stays(
    recorded: dict[str, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = LOCK.read_text()
    leave(recorded, 0.5)
    recovery.forget_edited(CACHE)
    leave(recorded | {"outputs": {"model": A}}, 0.9)  # of other results
    recovery.forget_edited(CACHE)
    for moment in (-100, 100):  # DVC's record of another run, with the same results
        leave(recorded, 0.9)
        written = NOTE.stat().st_mtime
        for path in (LOCK, RUN):
            os.utime(path, (written + moment, written + moment))
        recovery.forget_edited(CACHE)
    assert LOCK.read_text() == before
    assert RUN.exists()
    assert not NOTE.exists()
    assert capsys.readouterr().out == ""


def test_an_edit_is_found_however_long_the_next_stages_take(
    recorded: dict[str, dict[str, object]],
) -> None:
    leave(recorded, 0.9)
    os.utime(LOCK, (NOTE.stat().st_mtime + 1000,) * 2)
    recovery.forget_edited(CACHE)
    assert "train" not in LOCK.read_text()


def test_a_note_of_an_earlier_run_is_looked_at_as_well(
    recorded: dict[str, dict[str, object]],
) -> None:
    leave(recorded, 0.9)
    LOCK.write_text(LOCK.read_text().replace(B, A))  # DVC has run the stage again since
    recovery.forget_edited(CACHE)
    assert "train" in LOCK.read_text()
    assert not RUN.exists()


def test_a_run_soon_after_with_the_same_results_is_a_run_of_its_own(
    recorded: dict[str, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    leave(recorded, 0.9)
    os.utime(NOTE, (NOTE.stat().st_mtime - 20,) * 2)
    second = NOTE.with_name("89abcdef.json")
    second.write_text(NOTE.read_text().replace("0.9", "0.5"))
    os.utime(second, (NOTE.stat().st_mtime + 15,) * 2)
    before = LOCK.read_text()
    recovery.forget_edited(CACHE)
    assert LOCK.read_text() == before
    assert RUN.exists()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "torn",
    ["", "[]", '{"lock": "dvc.lock"}', '{"stage": "train", "lock": "../dvc.lock"}', "[" * 9999],
)
def test_a_note_that_is_none_goes(
    recorded: dict[str, dict[str, object]], torn: str, tmp_path: Path
) -> None:
    before = LOCK.read_text()
    NOTE.write_text(torn)
    recovery.forget_edited(CACHE)
    assert not NOTE.exists()
    assert LOCK.read_text() == before


def test_notes_are_no_trouble_where_there_is_no_dvc_lock(
    recorded: dict[str, dict[str, object]],
) -> None:
    leave(recorded, 0.9)
    LOCK.unlink()
    recovery.main()
    assert not NOTE.exists()


def test_nothing_goes_where_a_link_leads_out_of_the_project(repository: Path) -> None:
    outside = repository.parent / f"{repository.name}-outside"
    outside.mkdir()
    Path("link").symlink_to(outside)
    md5 = hashlib.md5(b"right").hexdigest()
    LOCK.write_text(LOCKED.replace(B, md5).replace("submission.csv", "link/precious"))
    keep(b"precious", md5)
    kept = [outside / "precious", outside / "precious.01234567.partial"]
    for path in kept:
        path.write_bytes(b"precious")
    recovery.main()
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize(
    ("method", "name"), [("unlink", str(stored(CACHE, B))), ("is_dir", ".dvc/tmp")]
)
def test_what_may_not_be_mended_is_told_in_one_line(
    repository: Path, monkeypatch: pytest.MonkeyPatch, method: str, name: str
) -> None:
    LOCK.write_text(LOCKED)
    keep(b"damaged", B)

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, method, refuse)
    line = f"{name}: Permission denied; expected files that make repro may put right"
    with pytest.raises(InputError, match=f"{re.escape(line)}$"):
        recovery.main()


def test_what_is_staged_of_dvc_lock_stays(repository: Path) -> None:
    LOCK.write_text(WHOLE + "# staged\n")
    subprocess.run(["git", "add", "dvc.lock"], check=True)
    LOCK.write_text("torn")
    recovery.main()
    assert LOCK.read_text() == WHOLE
    staged = subprocess.run(["git", "show", ":dvc.lock"], check=True, capture_output=True)
    assert staged.stdout.decode() == WHOLE + "# staged\n"
