"""Tables as CSV, whole or in blocks; those of images are in `digits.data.image_table`."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd

from digits.errors import expecting, shorten
from digits.files import replacing


def read_table(
    path: Path, columns: Mapping[str, type], expected: str, name: str = "", least: int = 1
) -> pd.DataFrame:
    """Return some columns of a table, of these types, by their names: str, int or float.

    An `InputError` tells if no such file is at `path`, called `name` there if given, or it is not
    what is `expected`, has fewer rows than `least`, an empty cell, or a number that is not finite.
    """
    return pd.concat(read_blocks(path, columns, expected, sys.maxsize, name, least))


def read_blocks(
    path: Path,
    columns: Mapping[str, type],
    expected: str,
    rows: int,
    name: str = "",
    least: int = 1,
) -> Iterator[pd.DataFrame]:
    """Yield what `read_table` returns, in blocks of so many rows, which bounds memory."""
    start = 0
    with (
        expecting(Path(name or path), expected, ValueError, OverflowError),
        path.open("rb") as file,
    ):
        for table in pd.read_csv(
            file, dtype=dict(columns), na_filter=False, skip_blank_lines=False, chunksize=rows
        ):
            # What is too much in all rows becomes their names.
            is_even = isinstance(table.index, pd.RangeIndex)
            if not is_even or not {*columns} <= {*table} or start + len(table) < least:
                raise ValueError(f"{len(table)} rows of {shorten(list(table))}")
            chosen = table[list(columns)]
            for row in np.flatnonzero((~chosen.map(_is_told)).any(axis=1))[:1].tolist():
                cells = next(chosen[row:].itertuples(index=False, name=None))
                raise ValueError(f"row {start + row + 2}: {shorten([*cells])}")
            start += len(table)
            yield chosen


def _is_told(cell: str | float) -> bool:
    return cell != "" if isinstance(cell, str) else isfinite(cell)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table, without its index."""
    with writing_table(path) as write:
        write(table)


@contextmanager
def writing_table(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yield what writes some rows of a table, without its index, after those before them."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield lambda rows: rows.to_csv(
            file, header=not file.tell(), index=False, lineterminator="\n"
        )
