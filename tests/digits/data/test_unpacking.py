import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.data.unpacking import read_unpacked
from digits.errors import InputError

CONTENT = b"a,b\n1,2\n"


def zipped(content: bytes, *more: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("folder/table.csv", "__MACOSX/folder/._table.csv", *more):
            archive.writestr(name, content)
        archive.writestr("folder/", "")
    return file.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zip": zipped}


@pytest.mark.parametrize("name", ["table.csv", "table.CSV.GZ", "table"])
@pytest.mark.parametrize("pack", [bytes, *PACK.values()])
def test_a_file_is_known_by_its_first_bytes_and_not_by_its_name(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(pack(CONTENT))
    assert b"".join(read_unpacked(tmp_path / name)) == CONTENT


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(CONTENT * 999)[:-20], ""),
        (b"\x1f\x8b" + CONTENT, ""),
        (zipped(CONTENT)[:-9], "File is not a zip file"),
        (zipped(CONTENT, "other.csv"), "2 files inside; expected one CSV file"),
        (zipped(CONTENT).replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"), ""),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"table\.csv: {told}.*; expected a whole CSV file"):
        list(read_unpacked(tmp_path / "table.csv"))


@pytest.mark.parametrize(("name", "told"), [("no.csv", "no such file"), ("", "Is a directory")])
def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(InputError, match=f"{told}; expected a whole CSV file"):
        list(read_unpacked(tmp_path / name))


@pytest.mark.parametrize("pack", PACK)
def test_an_archive_that_unpacks_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: str
) -> None:
    monkeypatch.setattr("digits.data.unpacking.UNPACKED_BYTES", 2**20)
    (tmp_path / "bomb").write_bytes(PACK[pack](CONTENT * 2**20))
    with pytest.raises(InputError, match=r"unpacks to over \d+ bytes, 300 times its own size"):
        list(read_unpacked(tmp_path / "bomb"))
