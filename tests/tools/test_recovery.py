import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from filelock import FileLock

from digits.errors import InputError
from digits.params import ONE_CYCLE, PARAMS
from digits.process import DVC, alone
from tools import recovery
from tools.project import LOCK, git, stored
from tools.recovery import BUSY, LOCKS

WHOLE = "schema: '2.0'\nstages: {}\n"
CACHE = Path(".dvc/cache")
MADE = "recovery: DVC's cache held damaged bytes of {}; removed, to be built anew\n"


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a repository with a committed dvc.lock."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recovery, "find_cache", lambda: CACHE)
    PARAMS.write_text(ONE_CYCLE.read_text())
    LOCK.write_text(WHOLE)
    git("init")
    git("add", "dvc.lock")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--message", "Begin")
    DVC.mkdir(parents=True)


UNHASHED = "stages: {one: {outs: [{path: a}]}}\n"


@pytest.mark.parametrize("torn", ["", "stages:\n  one:\n    cm", "stages:\n", UNHASHED, WHOLE[:-1]])
def test_a_dvc_lock_that_was_cut_short_becomes_the_commits_or_goes_where_no_commit_has_it(
    capsys: pytest.CaptureFixture[str], torn: str
) -> None:
    LOCK.write_text(torn)
    recovery.main()
    assert (LOCK.read_text(), (DVC / LOCK).read_text()) == (WHOLE, torn)
    told = "; it is the last commit's again, and the damaged one is .dvc/tmp/dvc.lock"
    assert re.fullmatch(f"recovery: dvc.lock: .*{told}\n", capsys.readouterr().out)
    git("update-ref", "-d", "HEAD")
    LOCK.write_text(torn)
    recovery.main()
    assert not LOCK.exists()
    assert "; removed, since no commit has it, and the damaged one is" in capsys.readouterr().out


def test_conflicts_of_a_merge_in_dvc_lock_are_told_and_stay() -> None:
    text = f"{WHOLE}<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n"
    LOCK.write_text(text)
    with pytest.raises(InputError, match=r"^dvc.lock: conflicts of a merge; expected them resolv"):
        recovery.main()
    assert LOCK.read_text() == text


def test_whole_files_stay_and_none_are_no_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    LOCK.write_text(WHOLE + "# edited\n")
    LOCKS.write_text("{}")
    recovery.main()
    assert (LOCK.read_text(), LOCKS.read_text()) == (WHOLE + "# edited\n", "{}")
    LOCK.unlink()
    LOCKS.unlink()
    recovery.main()
    assert capsys.readouterr().out == ""


def test_a_list_of_locks_that_was_cut_short_goes_unless_a_dvc_is_at_work() -> None:
    LOCKS.write_text('{"write": {"/x": {"pid"')
    with FileLock(BUSY):
        recovery.main()
    assert LOCKS.exists()
    recovery.main()
    assert not LOCKS.exists()


def test_what_killed_stages_were_writing_goes_unless_one_is_running() -> None:
    Path("data/prepared.01234567.partial").mkdir(parents=True)
    Path("models").mkdir()
    for name in (
        *("submission.csv.01234567.partial", "data/prepared.01234567.partial/raw"),
        *("models/a.checkpoint.0123abcd.partial", "mine.partial", "data/train.csv"),
    ):
        Path(name).touch()
    before = {*Path().rglob("*")}
    with alone():
        recovery.main()
    assert before <= {*Path().rglob("*")}
    recovery.main()
    assert [*Path().rglob("*.partial")] == [Path("mine.partial")]
    assert Path("data/train.csv").exists()


def test_damaged_bytes_in_the_cache_go_with_the_results_that_have_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = hashlib.md5(b"right").hexdigest()
    listing = json.dumps([{"md5": right, "relpath": "a"}]).encode()
    hashes = {"result": right, "link": right, "folder": f"{hashlib.md5(listing).hexdigest()}.dir"}
    outs = [{"path": path, "md5": md5} for path, md5 in hashes.items()]
    LOCK.write_text(json.dumps({"stages": {"one": {"outs": outs}}}) + "\n")
    kept, _, listed = (stored(CACHE, md5) for md5 in hashes.values())
    results = [Path("result"), Path("folder/a"), Path("link")]
    for path in (kept, listed, *results):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(listing if path == listed else b"right")
    recovery.main()
    assert capsys.readouterr().out == ""
    for path in (kept, results[1]):
        path.write_bytes(b"wrong")
    results[2].unlink()
    results[2].symlink_to(kept.absolute())
    recovery.main()
    assert [os.path.lexists(path) for path in (kept, *results)] == [False, True, False, False]
    listed.write_bytes(b"[]")
    recovery.main()
    assert not listed.exists()
    names = ("result", "link", "folder/a", "folder")
    assert capsys.readouterr().out == "".join(map(MADE.format, names))


@pytest.mark.parametrize("name", ["a/b.csv", ".dvc"])
def test_a_file_of_ones_own_that_is_not_there_is_named(name: str) -> None:
    PARAMS.write_text(PARAMS.read_text().replace("data/mnist/test.csv", name))
    told = f"params.yaml: data.test = '{name}': no such file; expected a CSV file of images; "
    with pytest.raises(InputError, match=re.escape(told)):
        recovery.main()
