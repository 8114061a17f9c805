"""Small tables as CSV, read and written whole by pandas; `digits.data.lines` has the large ones."""

import warnings
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.errors import ParserWarning

from digits.errors import expecting, shorten
from digits.files import replacing


def read_table(
    path: Path, columns: Mapping[str, type], expected: str, name: str = "", least: int = 1
) -> pd.DataFrame:
    """Return some columns of a table, of these types, by their names: str, int or float.

    An `InputError` tells if no such file is at `path`, called `name` there if given, or it is not
    what is `expected`, has fewer rows than `least`, an empty cell, or a number that is not finite.
    """
    with (
        expecting(Path(name or path), expected, ValueError, OverflowError, ParserWarning),
        warnings.catch_warnings(),
        path.open("rb") as file,
    ):
        warnings.simplefilter("error", ParserWarning)
        table = pd.read_csv(
            file, dtype=dict(columns), index_col=False, na_filter=False, skip_blank_lines=False
        )
        if not {*columns} <= {*table} or len(table) < least:
            raise ValueError(f"{len(table)} rows of {shorten(list(table))}")
        chosen = table[list(columns)]
        for row in np.flatnonzero((~chosen.map(_is_told)).any(axis=1))[:1].tolist():
            raise ValueError(f"row {row + 2}: {shorten(chosen.iloc[row].tolist())}")
        return chosen


def _is_told(cell: str | float) -> bool:
    return cell != "" if isinstance(cell, str) else isfinite(cell)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table, without its index."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
