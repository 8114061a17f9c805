import gzip
from pathlib import Path

import pytest

from digits.data.lines import DAMAGED, read_lines
from digits.errors import InputError
from tests.conftest import zipped

CONTENT = b"a,b\n1,2\n"


@pytest.mark.parametrize("size", [1, 2, 7, 20, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("blank", [0, 1, 3])
def test_blocks_are_of_whole_lines_and_know_their_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, end: str, blank: int
) -> None:
    for name in ("FIRST_BLOCK", "BLOCK"):
        monkeypatch.setattr(f"digits.data.lines.{name}", size)
    path = tmp_path / "table.csv"
    rows = [f"{number},\u00e9{number * number}" for number in range(40)]
    rows[0] = rows[20] = rows[21] = ""
    path.write_bytes(f"\ufeff{end.join(rows)}{blank * end}{'  ' * (blank > 1)}".encode())
    first = 1
    blocks = list(read_lines(path))
    for row, text in blocks:
        assert row == first
        first += text.count("\n")
        assert len(text) < size + 12
    assert "".join(text for _, text in blocks) == "\n".join(rows)


@pytest.mark.parametrize(("packed", "most"), [(True, 2**18), (False, 1)])
def test_what_unpacks_to_no_more_than_a_small_disk_holds_is_read_however_well_it_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, most: int
) -> None:
    content = CONTENT * 2**15
    (tmp_path / "table.csv").write_bytes(gzip.compress(content) if packed else content)
    assert ((tmp_path / "table.csv").stat().st_size * 300 < len(content) == most) is packed
    monkeypatch.setattr("digits.data.lines.UNPACKED", most)
    blocks = read_lines(tmp_path / "table.csv")
    assert sum(text.count("1,2") for _, text in blocks) == 2**15


def test_in_the_place_of_what_is_no_utf_8_stands_a_sign(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(zipped(b"a\xff,b\n", ["a/", "a/a.csv", "__MACOSX/a.csv"]))
    assert list(read_lines(tmp_path / "table.csv")) == [(1, f"a{DAMAGED},b")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(CONTENT * 999)[:-20], "Compressed file ended before"),
        (zipped(CONTENT)[:-9], "File is not a zip file"),
        (zipped(CONTENT, ["a.csv", "b.csv"]), "2 files inside"),
        (gzip.compress(CONTENT * 2**20), r"unpacks to over \d+ bytes, 300 times its size"),
        (zipped(CONTENT * 2**20), r"unpacks to over \d+ bytes, 300 times its size"),
    ],
)
def test_a_damaged_archive_is_refused_and_one_that_unpacks_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, told: str
) -> None:
    monkeypatch.setattr("digits.data.lines.UNPACKED", 2**20)
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"table\.csv: {told}.*; expected a whole CSV file"):
        list(read_lines(tmp_path / "table.csv"))
