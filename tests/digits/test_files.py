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
        assert find_partial(path.parent, "file") == [temporary]
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_directory_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    (path / "old").touch()
    with replacing_directory(path) as temporary:
        (temporary / "new").touch()
        assert (path / "old").exists()
        assert find_partial(tmp_path, "dir*") == [temporary]
    assert [item.name for item in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("replace", [replacing, replacing_directory])
@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError(28, "No space left on device")])
def test_what_was_there_stays_when_a_block_fails(
    tmp_path: Path, replace: Replace, error: Exception
) -> None:
    path = tmp_path / "old"
    path.mkdir()
    (path / "file").touch()
    with pytest.raises((ZeroDivisionError, InputError)) as told, replace(path):
        raise error
    assert list(tmp_path.rglob("*")) == [path, path / "file"]
    if isinstance(error, OSError):
        line = f"{path}: No space left on device; expected to be able to write it"
        assert str(told.value) == line


@pytest.mark.parametrize("replace", [replacing, replacing_directory])
def test_what_lies_in_the_way_is_told_in_one_line(tmp_path: Path, replace: Replace) -> None:
    (tmp_path / "file").touch()
    message = r"file/new: (File exists|Not a directory); expected to be able to write it"
    with pytest.raises(InputError, match=message), replace(tmp_path / "file" / "new"):
        pytest.fail("begun")


def test_what_others_have_there_is_no_partial_file(tmp_path: Path) -> None:
    for name in ("a.csv.0123abcd.partial", "a.csv.partial", "a.csv.0123ABCD.partial", "b.partial"):
        (tmp_path / name).touch()
    assert find_partial(tmp_path, "a.csv") == [tmp_path / "a.csv.0123abcd.partial"]


def test_json_never_holds_what_json_cannot(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
