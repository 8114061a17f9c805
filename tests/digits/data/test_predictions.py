from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digits.data.csv_files import write_table
from digits.data.predictions import load_first_line, read_probabilities, tabulate
from digits.data.tensors import PREPARED
from digits.errors import InputError

SHARES = np.array([[0.25, 0.5, 0.25], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]])
NAMES = ("zero", "one", "label, 2")


def test_a_table_says_of_each_row_where_it_is_and_what_it_is_taken_for(tmp_path: Path) -> None:
    path, rows, labels = tmp_path / "table.csv", np.array([3, 7, 8]), np.array([0, 2, 1])
    write_table(path, tabulate(SHARES + 1e-12, NAMES, rows, 1, labels))
    table = pd.read_csv(path)
    assert table["row_index"].tolist() == [3, 7, 8]
    assert table["line"].tolist() == [4, 8, 9]
    assert table["label"].tolist() == ["zero", "label, 2", "one"]
    assert table["label_probability"].tolist() == [0.25, 0.7, 0.4]
    assert table["prediction"].tolist() == ["one", "label, 2", "zero"]  # the first of equals
    assert table["prediction_probability"].tolist() == [0.5, 0.7, 0.4]
    assert table["probability_label, 2"].tolist() == [0.25, 0.7, 0.2]
    assert np.array_equal(read_probabilities(path, NAMES, 3), SHARES)
    for rows_there in (2, 4):
        with pytest.raises(InputError, match=rf"table.csv: 3 rows; expected {rows_there}$"):
            read_probabilities(path, NAMES, rows_there)
    assert "label" not in tabulate(SHARES, NAMES, rows, 1)
    with pytest.raises(InputError, match=r"table.csv: .*; expected what evaluate writes$"):
        read_probabilities(path, ("three",), 3)


def test_where_the_first_row_stands_is_what_prepare_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    PREPARED.mkdir(parents=True)
    path = PREPARED / "counts.json"
    for content in (None, "{", "{}", '{"first_line": 1}'):
        if content:
            path.write_text(content)
        with pytest.raises(InputError, match=f"^{path}: .*expected (what prepare writes|YAML)$"):
            load_first_line("test")
    path.write_text('{"first_line": {"labelled": 2, "test": 1}}')
    assert [load_first_line(part) for part in ("labelled", "test")] == [2, 1]
