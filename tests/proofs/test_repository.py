from pathlib import Path

from proofs.repository import copy_files, git


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
