"""Predictions as tables: what a network makes of each row of a CSV file, for pandas to read.

The columns are `row_index`, from 0, and `line`, from 1, in that file; `label` and its probability,
where it is known; `prediction` and its probability; and `probability_NAME` of each class.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.csv_files import read_table
from digits.data.tensors import PREPARED, WRITTEN
from digits.errors import InputError, expecting
from digits.exact import PLACES
from digits.params import load_yaml

VALIDATION = Path("data/predictions/validation.csv")
TEST = Path("data/predictions/test.csv")


def tabulate(
    probabilities: NDArray[np.float64],
    names: Sequence[str],
    rows: NDArray[np.int64],
    first_line: int,
    labels: NDArray[np.int64] | None = None,
) -> pd.DataFrame:
    """Return the table of probabilities, (rows, classes), of rows by their index, (rows,)."""
    columns: dict[str, object] = {"row_index": rows, "line": rows + first_line}
    for name, codes in (("label", labels), ("prediction", probabilities.argmax(axis=1))):
        if codes is not None:
            columns[name] = np.array(names, object)[codes]
            columns[f"{name}_probability"] = probabilities[np.arange(len(codes)), codes]
    columns |= {f"probability_{name}": of for name, of in zip(names, probabilities.T, strict=True)}
    return pd.DataFrame(columns).round(PLACES)


def read_probabilities(path: Path, names: Sequence[str], rows: int) -> NDArray[np.float64]:
    """Return probabilities, (rows, classes), of a table; InputError unless it is of those rows."""
    columns = dict.fromkeys((f"probability_{name}" for name in names), float)
    table = read_table(path, columns, "what evaluate writes")
    if len(table) != rows:
        raise InputError(f"{path}: {len(table)} rows; expected {rows}")
    return table.to_numpy()


def load_first_line(part: str) -> int:
    """Return in which line of its file row 0 is, from 1, of "labelled" or of "test" images."""
    with expecting(path := PREPARED / "counts.json", WRITTEN, KeyError, TypeError):
        return int(load_yaml(path, WRITTEN)["first_line"][part])
