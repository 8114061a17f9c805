import gzip
from pathlib import Path

import pytest

from digits.data.lines import read_lines
from digits.errors import InputError
from tests.conftest import zipped

CONTENT = b"a,b\n1,2\n"


@pytest.mark.parametrize("size", [1, 2, 5, 7, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("blank", [0, 1, 3])
def test_blocks_are_of_whole_lines_and_know_their_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, end: str, blank: int
) -> None:
    for name in ("FIRST_BLOCK", "BLOCK"):
        monkeypatch.setattr(f"digits.data.lines.{name}", size)
    path = tmp_path / "table.csv"
    rows = [f"{number},\u00e9{number * number}" for number in range(40)]
    path.write_bytes(f"\ufeff{end.join(rows)}{blank * end}{'  ' * (blank > 1)}".encode())
    found: dict[int, str] = {}
    for row, text in read_lines(path):
        found |= dict(enumerate(text.split("\n"), start=row)) if text else {}
    assert [found[row] for row in range(1, 41)] == rows
    assert not any(text for row, text in found.items() if row > 40)


def test_what_unpacks_to_no_more_than_a_small_disk_holds_is_read_however_well_it_packed(
    tmp_path: Path,
) -> None:
    (tmp_path / "table.csv").write_bytes(packed := gzip.compress(CONTENT * 2**19))
    assert len(packed) * 300 < len(CONTENT) * 2**19
    blocks = read_lines(tmp_path / "table.csv")
    assert sum(text.count("1,2") for _, text in blocks) == 2**19


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
