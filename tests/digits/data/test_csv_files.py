from pathlib import Path

import pandas as pd
import pytest

from digits.data.csv_files import read_table, write_table
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
