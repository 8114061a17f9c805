import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.data.unpacking import read_unpacked
from digits.errors import InputError

CONTENT = b"a,b\n1,2\n"


def zipped(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("folder/", "")
        archive.writestr("folder/table.csv", content)
        archive.writestr("__MACOSX/folder/._table.csv", b"of macOS")
    return file.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zip": zipped}


@pytest.mark.parametrize("name", ["table.csv", "table.CSV.GZ", "table"])
@pytest.mark.parametrize("pack", [bytes, *PACK.values()])
def test_a_file_is_known_by_its_first_bytes_and_not_by_its_name(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(pack(CONTENT))
    assert b"".join(read_unpacked(tmp_path / name)) == CONTENT


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("no.csv", "no such file"),
        ("", "Is a directory"),
        ("pipe", "a pipe or a device"),
        ("a" * 300, "File name too long"),
    ):
        with pytest.raises(InputError, match=f"{message}; expected a whole CSV file"):
            list(read_unpacked(tmp_path / name))
    with pytest.raises(InputError, match=r"^/dev/zero: a pipe or a device; expected a whole CSV"):
        list(read_unpacked(Path("/dev/zero")))


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(CONTENT * 999)[:-20],
        b"\x1f\x8b" + CONTENT,
        zipped(CONTENT)[:-9],
        zipped(CONTENT).replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"table\.csv: .*; expected a whole CSV file"):
        list(read_unpacked(tmp_path / "table.csv"))


@pytest.mark.parametrize("pack", PACK)
def test_an_archive_that_unpacks_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: str
) -> None:
    monkeypatch.setattr("digits.data.unpacking.UNPACKED_BYTES", 2**20)
    path, rows = tmp_path / "bomb", CONTENT * 2**20
    path.write_bytes(PACK[pack](rows))
    limit = max(2**20, 300 * path.stat().st_size)
    assert limit < len(rows)
    with pytest.raises(InputError, match=f"unpacks to over {limit} bytes; expected at most 300 t"):
        list(read_unpacked(path))


def test_a_zip_that_is_packed_in_another_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.zip").write_bytes(zipped(CONTENT, zipfile.ZIP_LZMA))
    with pytest.raises(InputError, match="compressed by another method; expected zip's own"):
        list(read_unpacked(tmp_path / "table.zip"))


def test_a_zip_of_two_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("train.csv", CONTENT)
        file.writestr("test.csv", CONTENT)
    with pytest.raises(InputError, match="2 files inside; expected one CSV file"):
        list(read_unpacked(path))
