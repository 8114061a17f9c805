import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from digits.errors import InputError
from tools.project import (
    LOCK,
    Output,
    copy_files,
    files,
    files_of,
    find_cache,
    find_commit,
    git,
    is_whole,
    outputs,
    read_lock,
    stored,
)

A, B, C = "a" * 32, "b" * 32, "c" * 32
TEXT = f"""
schema: '2.0'
stages:
  prepare:
    cmd: python -m stages.prepare
    deps:
    - {{path: data/train.csv, hash: md5, md5: {C}, size: 3}}
    params:
      params.yaml:
        prepare: {{seed: 0, validation: 7}}
    outs:
    - {{path: data/statistics.json, hash: md5, md5: {A}, size: 3}}
    - {{path: data/train, hash: md5, md5: {B}.dir, size: 3, nfiles: 1}}
  score:
    cmd: python -m stages.score
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a project in a folder of a larger repository with two commits; return that folder."""
    project = tmp_path / "larger" / "ml" / "digits"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    git("init", "--quiet", folder=tmp_path / "larger")
    (tmp_path / "larger" / "other").write_text("other")
    for content in (b"1", b"\r\n\xff"):
        (project / "na\u00efve").write_bytes(content)
        git("add", "--all", "../..")
        git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "x")
    return project


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


def test_the_files_of_a_revision_are_those_that_it_holds_of_the_project(repository: Path) -> None:
    (repository / "na\u00efve").write_text("changed")
    with files_of("HEAD") as folder:
        assert [path.name for path in folder.iterdir()] == ["na\u00efve"]
        assert (folder / "na\u00efve").read_bytes() == b"\r\n\xff"
    assert not folder.exists()
    with files_of(None) as folder:
        assert (folder / "na\u00efve").read_text() == "changed"


@pytest.mark.parametrize("revision", ["nothing", "--help", "", "HEAD;id", "HEAD\nHEAD"])
def test_what_is_no_revision_is_refused_in_one_line(repository: Path, revision: str) -> None:
    line = "; expected a revision, or the one experiment .* --unshallow gets what a shallow clone"
    with pytest.raises(InputError, match=line):
        find_commit(revision)


def test_experiments_are_found_by_the_names_that_dvc_gives_them(repository: Path) -> None:
    git("update-ref", "refs/exps/ab/cdef/exp-one", "HEAD~1")
    assert find_commit("exp-one") == find_commit("HEAD~1") != find_commit("HEAD")
    git("update-ref", "refs/exps/fe/dcba/exp-one", "HEAD")
    with pytest.raises(InputError, match=r"^exp-one: .*; expected .* the one experiment of that"):
        find_commit("exp-one")


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("PATH", "", "no such program"),
        ("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1", r"dubious ownership .* --add safe\.directory "),
        ("GIT_DIR", "elsewhere", "not a git repository"),
    ],
)
def test_where_git_refuses_its_own_words_say_why(
    repository: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, why: str
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=why):
        find_commit("HEAD")


def test_every_output_is_found(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(TEXT)
    assert list(outputs(read_lock(tmp_path / "lock"))) == [
        Output("prepare", "data/statistics.json", A),
        Output("prepare", "data/train", f"{B}.dir"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (A, "..//../../some/file", "stages.prepare.outs.0.md5 = '..//../../some/file'"),
        (C, "'x'", "stages.prepare.deps.0.md5 = 'x'"),
        ("data/statistics.json", "/etc/passwd", "path = '/etc/passwd': expected a path inside"),
        ("data/statistics.json", "a/../../b", "path = 'a/../../b': expected a path inside"),
        ("data/statistics.json", "2020-01-01", "path = datetime.date(2020, 1, 1): expected a val"),
        ("schema", "\udcff", "codec can't decode byte 0xff"),
        ("stages:", "x:", "stages is missing"),
    ],
)
def test_what_dvc_does_not_write_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    LOCK.write_bytes(TEXT.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as error:
        read_lock()
    assert str(error.value).startswith("dvc.lock: ")
    assert line in str(error.value)


def test_the_cache_lists_the_files_of_a_directory_while_the_list_is_whole(tmp_path: Path) -> None:
    listing = json.dumps([{"md5": C, "relpath": "images.npy"}]).encode()
    md5 = hashlib.md5(listing).hexdigest() + ".dir"
    output = Output("prepare", "data/train", md5)
    assert files(output, tmp_path) == {}
    path = stored(tmp_path, md5)
    path.parent.mkdir(parents=True)
    path.write_bytes(listing)
    assert files(output, tmp_path) == {"data/train/images.npy": C}
    path.write_bytes(listing.replace(b"c", b"d"))
    assert files(output, tmp_path) == {}
    assert files(Output("score", "a.json", A), tmp_path) == {"a.json": A}
    assert not is_whole(tmp_path / "none", A)


def test_the_cache_is_where_dvc_says(tmp_path: Path) -> None:
    def dvc(*arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.check_output(command, cwd=tmp_path, text=True).strip()

    dvc("init", "--no-scm", "--quiet")
    assert find_cache(tmp_path) == tmp_path / ".dvc" / "cache"
    for place in ("../shared", str(tmp_path / "absolute")):
        dvc("cache", "dir", "--local", place)
        assert find_cache(tmp_path) == tmp_path / dvc("cache", "dir")
    (tmp_path / ".dvc" / "config").write_text("[core\n")
    with pytest.raises(InputError, match=r"^DVC: config file error: .*; expected its config"):
        find_cache(tmp_path)
