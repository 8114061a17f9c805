from pathlib import Path

import pytest

from digits.errors import InputError
from tools.repository import copy_files, files_of, find_commit, git


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


def test_the_files_of_a_revision_are_those_that_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "na\u00efve").write_bytes(b"\r\n\xff")
    git("add", "--all")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "x")
    (tmp_path / "folder" / "na\u00efve").write_text("changed")
    with files_of("HEAD") as folder:
        assert (folder / "folder" / "na\u00efve").read_bytes() == b"\r\n\xff"
    assert not folder.exists()
    with files_of(None) as folder:
        assert (folder / "folder" / "na\u00efve").read_text() == "changed"


@pytest.mark.parametrize("revision", ["nothing", "--help", "-x", "", "HEAD;id", "HEAD\nHEAD"])
def test_what_is_no_revision_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    with pytest.raises(InputError) as error:
        find_commit(revision)
    assert str(error.value).endswith("; expected a revision of this repository")
    assert str(error.value).isprintable()
