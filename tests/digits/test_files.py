from pathlib import Path

import pytest

from digits.errors import InputError
from digits.files import find_partial, replacing, write_json


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_written_appears_when_its_block_ends(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "new" / "a"
    for content in ("old", "new"):
        with replacing(path) as temporary:
            if folder:
                temporary.mkdir()
            (temporary / content if folder else temporary).write_text(content)
            assert path.exists() is (content == "new")
            assert find_partial(path.parent) == [temporary]
    assert list(path.parent.iterdir()) == [path]
    assert (list(path.iterdir()) == [path / "new"]) if folder else path.read_text() == "new"


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError(28, "No space left on device")])
def test_what_was_there_stays_when_a_block_fails(
    tmp_path: Path, folder: bool, error: Exception
) -> None:
    path = tmp_path / "old"
    path.mkdir()
    (path / "file").touch()
    line = "^$|old: No space left on device; expected to be able to write it"
    with pytest.raises((ZeroDivisionError, InputError), match=line), replacing(path) as temporary:
        temporary.mkdir() if folder else temporary.touch()
        raise error
    assert list(tmp_path.rglob("*")) == [path, path / "file"]


def test_what_lies_in_the_way_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"file/new: (File exists|Not a directory); expected to be able to write it"
    with pytest.raises(InputError, match=message), replacing(tmp_path / "file" / "new"):
        pytest.fail("begun")


def test_json_is_indented_and_ends_its_last_line(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", {"loss": 0.1, "ä": [1]})
    expected = b'{\n  "loss": 0.1,\n  "\\u00e4": [\n    1\n  ]\n}\n'
    assert (tmp_path / "file.json").read_bytes() == expected


def test_json_never_holds_what_json_cannot(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
