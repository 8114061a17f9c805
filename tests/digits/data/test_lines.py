from pathlib import Path

import pytest

from digits.data.lines import read_lines
from digits.errors import InputError


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for name in ("FIRST_BYTES", "BLOCK_BYTES"):
        monkeypatch.setattr(f"digits.data.unpacking.{name}", size)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("size", [1, 2, 5, 7, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("blank", [0, 1, 3])
def test_blocks_are_of_whole_lines_and_know_their_row(
    tmp_path: Path, size: int, end: str, blank: int
) -> None:
    path = tmp_path / "table.csv"
    rows = [f"{number},\u00e9{number * number}" for number in range(40)]
    path.write_bytes(f"\ufeff{end.join(rows)}{blank * end}{'  ' * (blank > 1)}".encode())
    found: dict[int, str] = {}
    for row, text in read_lines(path):
        found |= dict(enumerate(text.split("\n"), start=row)) if text else {}
    assert [found[row] for row in range(1, 41)] == rows
    assert not any(text for row, text in found.items() if row > 40)


def test_a_line_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.data.lines.LINE_BYTES", 2**10)
    (tmp_path / "table.csv").write_bytes(b"a\n" * 3 + b"b" * 2**20)
    with pytest.raises(InputError, match="row 4: over 1024 bytes; expected a shorter line"):
        list(read_lines(tmp_path / "table.csv"))
