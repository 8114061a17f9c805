from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from digits.errors import InputError
from digits.files import find_partial, replacing, replacing_directory, write_json

Replace = Callable[[Path], AbstractContextManager[Path]]


def test_a_file_appears_only_when_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_stays_as_it_was_when_its_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    (path / "old").touch()
    with replacing_directory(path) as temporary:
        (temporary / "new").touch()
        assert (path / "old").exists()
    assert [item.name for item in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_stays_as_it_was_when_its_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(ZeroDivisionError), replacing_directory(path) as temporary:
        (temporary / "new").touch()
        raise ZeroDivisionError
    assert [item.name for item in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_is_found_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a.csv.0123abcd.partial", "a.csv.partial", "a.csv.0123ABCD.partial", "b.partial"):
        (tmp_path / name).touch()
    with replacing(tmp_path / "a.csv") as temporary:
        found = find_partial(tmp_path, "a.csv")
        assert sorted(found) == sorted([tmp_path / "a.csv.0123abcd.partial", temporary])
    with replacing_directory(tmp_path / "b") as temporary:
        assert find_partial(tmp_path, "b") == [temporary]


@pytest.mark.parametrize("replace", [replacing, replacing_directory])
def test_a_link_in_the_place_of_a_temporary_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: Replace
) -> None:
    monkeypatch.setattr("digits.files.token_hex", lambda _: "01234567")
    (tmp_path / "precious").write_text("old")
    (tmp_path / "file.01234567.partial").symlink_to("precious")
    with pytest.raises(InputError, match=r"file: File exists; exp"), replace(tmp_path / "file"):
        pytest.fail("begun")
    assert (tmp_path / "precious").read_text() == "old"


def test_temporary_names_are_random_and_files_as_readable_as_others(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        with replacing(tmp_path / "file") as temporary:
            names.add(temporary)
    assert len(names) == 2
    (tmp_path / "other").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_what_cannot_be_deleted_of_a_directory_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    (path / "old").touch()
    monkeypatch.setattr("digits.files.shutil.rmtree", lambda *_, **__: None)
    with replacing_directory(path) as temporary:
        (temporary / "new").touch()
    assert [item.name for item in path.iterdir()] == ["new"]
    [left] = find_partial(tmp_path, "directory")
    assert [item.name for item in left.iterdir()] == ["old"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SystemExit(143)])
def test_a_directory_that_cannot_be_put_in_its_place_leaves_the_old_one_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path, rename = tmp_path / "directory", Path.rename
    path.mkdir()
    (path / "old").touch()

    def refuse(one: Path, to: Path) -> Path:
        if (one / "new").exists():
            raise error
        return rename(one, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises((InputError, SystemExit)), replacing_directory(path) as temporary:
        (temporary / "new").touch()
    assert [item.name for item in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_json_never_holds_what_json_cannot(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("replace", [replacing, replacing_directory])
def test_a_full_disk_is_told_in_one_line_and_loses_nothing(
    tmp_path: Path, replace: Replace
) -> None:
    path = tmp_path / "old"
    path.mkdir()
    with (
        pytest.raises(InputError, match=r"old: No space left on device; expected to be able to"),
        replace(path),
    ):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("replace", [replacing, replacing_directory])
def test_what_lies_in_the_way_is_told_in_one_line(tmp_path: Path, replace: Replace) -> None:
    (tmp_path / "file").touch()
    message = r"file/new: (File exists|Not a directory); expected to be able to write it"
    with pytest.raises(InputError, match=message), replace(tmp_path / "file" / "new"):
        pytest.fail("begun")
