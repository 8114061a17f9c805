import os
import subprocess
import sys
from pathlib import Path

import pytest

from digits.errors import InputError
from tools.project import LOCK, copy_files, find_cache, find_commit, git, read_lock

A, B = "a" * 32, "b" * 32
TEXT = f"""
schema: '2.0'
stages:
  prepare:
    deps:
    - {{path: data/train.csv, hash: md5, md5: {B}, size: 3}}
    outs:
    - {{path: data/statistics.json, hash: md5, md5: {A}, size: 3}}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a repository with two commits."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for _ in range(2):
        git(*author, "commit", "--quiet", "--allow-empty", "--message", "x")


def test_what_git_tracks_or_would_track_is_copied_as_it_is(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    (source / "folder").mkdir(parents=True)
    for name in ("deleted", "folder/tracked", "ignored", ".gitignore"):
        (source / name).write_text(name)
    git("init", "--quiet", folder=source)
    (source / ".gitignore").write_text("ignored\n")
    git("add", "--all", folder=source)
    (source / "deleted").unlink()
    (source / "folder" / "tracked").write_text("changed")
    (source / "new").write_text("new")
    copy_files(source, copy)
    found = {str(p.relative_to(copy)): p.read_text() for p in copy.rglob("*") if p.is_file()}
    assert found == {".gitignore": "ignored\n", "folder/tracked": "changed", "new": "new"}


@pytest.mark.parametrize("revision", ["nothing", "--help", "", "HEAD\nHEAD"])
def test_what_is_no_revision_is_refused_in_one_line(repository: None, revision: str) -> None:
    line = "; expected a commit, branch or tag, or one experiment, .* --unshallow"
    with pytest.raises(InputError, match=line):
        find_commit(revision)


def test_experiments_are_found_by_the_names_that_dvc_gives_them(repository: None) -> None:
    git("update-ref", "refs/exps/ab/cdef/exp-one", "HEAD~1")
    assert find_commit("exp-one") == find_commit("HEAD~1") != find_commit("HEAD")
    git("update-ref", "refs/exps/fe/dcba/exp-one", "HEAD")
    with pytest.raises(
        InputError, match=r"^exp-one: no revision of that name; expected .* or one experiment,"
    ):
        find_commit("exp-one")


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("PATH", "", "no such program"),
        ("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1", r"dubious ownership .* --add safe\.directory "),
    ],
)
def test_where_git_refuses_its_own_words_say_why(
    repository: None, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, why: str
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=why):
        find_commit("HEAD")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (A, "..//../../some/file", "stages.prepare.outs.0.md5 = '..//../../some/file'"),
        (B, "'x'", "stages.prepare.deps.0.md5 = 'x'"),
        ("data/statistics.json", "/etc/passwd", "path = '/etc/passwd': expected a path inside"),
        ("data/statistics.json", "a/../../b", "path = 'a/../../b': expected a path inside"),
        ("stages:", "x:", "stages is missing"),
    ],
)
def test_what_dvc_does_not_write_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    LOCK.write_text(TEXT)
    read_lock()
    LOCK.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        read_lock()
    assert str(error.value).startswith("dvc.lock: ")
    assert line in str(error.value)


@pytest.mark.parametrize("place", ["", "../shared", "/absolute"])
def test_the_cache_is_where_dvc_says(tmp_path: Path, place: str) -> None:
    def dvc(*arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.check_output(command, cwd=tmp_path, text=True).strip()

    dvc("init", "--no-scm", "--quiet")
    if place:
        dvc("cache", "dir", "--local", place)
    assert find_cache(tmp_path) == tmp_path / (dvc("cache", "dir") if place else ".dvc/cache")
    (tmp_path / ".dvc" / "config").write_text("[core\n")
    with pytest.raises(InputError, match=r"^DVC: config file error: .*; expected its config"):
        find_cache(tmp_path)
