from pathlib import Path

import pandas as pd
import pytest

from digits.data.csv_files import read_blocks, read_table, write_table
from digits.errors import InputError


def test_tables_have_unix_line_ends_and_floats_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    table = pd.DataFrame({"name": ["1e3", "b"], "loss": [1 / 3, 0.1 + 0.2]})
    write_table(path, table)
    assert path.read_bytes() == b"name,loss\n1e3,0.3333333333333333\nb,0.30000000000000004\n"
    found = read_table(path, {"loss": float, "name": str}, "a table")
    assert found.to_dict("list") == {"loss": [1 / 3, 0.1 + 0.2], "name": ["1e3", "b"]}


@pytest.mark.parametrize(
    "rows", ["", "1,nan,1", "1,inf,1", "1,1,1,1", "1,1,1\n1,1,1,1", "1,a,1", "1,,1"]
)
def test_a_table_without_such_columns_of_numbers_is_refused(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "training.csv"
    columns = {"training_loss": float, "validation_loss": float}
    for header in (",".join(["epoch", *columns]), "epoch,training_loss", "\u0661"):
        path.write_text(f"{header}\n{rows}\n", encoding="utf-8")
        with pytest.raises(InputError, match=r"training\.csv: .*; expected what train writes"):
            read_table(path, columns, "what train writes")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "0 rows of ['name', 'count']"),
        ("a,1\n" * 5 + ",2\n,3\n", "row 7: ['', 2]"),
        ("a,1\n" * 4 + ",2\n", "row 6: ['', 2]"),
    ],
)
def test_a_row_that_is_refused_is_counted_across_blocks(
    tmp_path: Path, rows: str, message: str
) -> None:
    path, columns = tmp_path / "names.csv", {"name": str, "count": int}
    path.write_text(f"name,count\n{rows}")
    with pytest.raises(InputError) as error:
        list(read_blocks(path, columns, "names", rows=2))
    assert str(error.value) == f"{path}: {message}; expected names"
    with pytest.raises(InputError, match=r"^a\.csv: .*; expected names$"):
        read_table(path, columns, "names", name="a.csv")


def test_text_is_what_stands_there_and_a_blank_line_is_an_empty_cell(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("name\nNA\n")
    assert read_table(path, {"name": str}, "names")["name"].tolist() == ["NA"]
    path.write_text("name\nNA\n\nb\n")
    with pytest.raises(InputError, match=r"row 3: \[''\]; expected names$"):
        read_table(path, {"name": str}, "names")
    path.write_text("name\n")
    assert read_table(path, {"name": str}, "names", least=0).empty
    path.write_text(f"name\n{10**30}\n")
    with pytest.raises(InputError, match=r"expected whole numbers$"):
        read_table(path, {"name": int}, "whole numbers")
