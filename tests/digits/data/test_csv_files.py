import csv
from pathlib import Path

import pandas as pd
import pytest

from digits.data.csv_files import (
    RowFormat,
    read_lines,
    read_rows,
    read_table,
    without_formulas,
    write_table,
)
from digits.errors import InputError


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("blank", [0, 1, 3])
def test_blocks_are_of_whole_lines_and_know_their_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, end: bytes, blank: int
) -> None:
    for name in ("FIRST_BYTES", "BLOCK_BYTES"):
        monkeypatch.setattr(f"digits.data.unpacking.{name}", size)
    path = tmp_path / "table.csv"
    rows = [b"%d,%d" % (number, number * number) for number in range(40)]
    path.write_bytes(end.join(rows) + blank * end + b"  " * (blank > 1))
    found: dict[int, bytes] = {}
    for row, text in read_lines(path):
        found |= dict(enumerate(text.split(b"\n"), start=row)) if text else {}
    assert [found[row] for row in range(1, 41)] == rows
    assert not any(text for row, text in found.items() if row > 40)


def test_a_line_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.data.csv_files.LINE_BYTES", 2**10)
    (tmp_path / "table.csv").write_bytes(b"a\n" * 3 + b"b" * 2**20)
    with pytest.raises(InputError, match="row 4: over 1024 bytes; expected a shorter line"):
        list(read_lines(tmp_path / "table.csv"))


def test_rows_are_counted_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_BYTES", "BLOCK_BYTES"):
        monkeypatch.setattr(f"digits.data.unpacking.{name}", 8)
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "1,2\n" * 7 + "1,2,3\n")
    with pytest.raises(InputError, match="row 9, column 3: a field too many; expected 2 columns"):
        list(read_rows(path, RowFormat(",", 2, 2), lambda *_: None))


def test_tables_have_unix_line_ends_and_floats_to_the_last_bit(tmp_path: Path) -> None:
    table = pd.DataFrame({"epoch": [1, 2], "loss": [1 / 3, 0.1]})
    write_table(tmp_path / "file.csv", [table, table])
    expected = b"epoch,loss\n" + 2 * b"1,0.3333333333333333\n2,0.1\n"
    assert (tmp_path / "file.csv").read_bytes() == expected


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ('=HYPERLINK("http://a.b")', '\'=HYPERLINK("http://a.b")'),
        *((text, f"'{text}") for text in ("=1", "+a", "-1+2", "@SUM(A1)", "\t=1", "\uff1d1")),
        *((text, f"'{text}") for text in ("'=1", "'a", "-", "-1\n")),
        *((text, text) for text in ("-1", "+1.5", "a=1", "1-2", "a", "", "#")),
        *((number, str(number)) for number in (-1, -0.5, 1e-07)),
    ],
)
def test_no_text_is_a_formula_and_numbers_stay(tmp_path: Path, cell: object, written: str) -> None:
    table = pd.DataFrame({"a": ["a"], "b": [cell]})
    write_table(tmp_path / "file.csv", [without_formulas(table)])
    with (tmp_path / "file.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1] == ["a", written]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "epoch,training_loss,validation_loss\n",
        "epoch,training_loss,validation_loss\n1,nan,1\n",
        "epoch,training_loss,validation_loss\n1,inf,1\n",
        "epoch,training_loss,validation_loss\n1,1\n",
        "epoch,training_loss,validation_loss\n1,1,1,1\n",
        "epoch,training_loss,validation_loss\n1,1,1\n1,1,1,1\n",
        "epoch,training_loss\n1,1\n",
        "epoch,training_loss,validation_loss\n1,a,1\n",
        "\u0661",
    ],
)
def test_a_table_without_such_columns_of_numbers_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "training.csv"
    path.write_text(content, encoding="utf-8")
    columns = {"training_loss": float, "validation_loss": float}
    with pytest.raises(InputError, match=r"training\.csv: .*; expected what train writes"):
        read_table(path, columns, "what train writes")


def test_columns_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    table = pd.DataFrame({"epoch": [1, 2], "loss": [0.1 + 0.2, 1e-9], "name": ["1e3", "b"]})
    write_table(path, [table])
    found = read_table(path, {"name": str, "loss": float}, "a table")
    assert found.to_dict("list") == {"name": ["1e3", "b"], "loss": [0.1 + 0.2, 1e-9]}
