"""By how much two contents of one file differ, in words.

    python -m tools.difference REV

says it of plots/training.csv in a commit and in the working tree.
"""

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load

from digits.errors import one_line, run_command, shorten
from digits.params import leaves
from tools.repository import files_of

CURVES = Path("plots/training.csv")
# Each decides the next: the first that differs is where to look.
_PARTS = ("data_sha256", "draws_sha256", "weights_sha256")
_SHOWN = 3
_NONE = object()  # that JSON never gives


def describe(name: str, old: bytes, new: bytes) -> str:
    """Return by how much `new` differs from `old`, both contents of a file of that name."""
    words = {
        ".npy": _tensors,
        ".safetensors": _tensors,
        ".png": _pixels,
        ".json": _values,
        ".csv": _rows,
    }.get(PurePath(name).suffix)
    if words is None:
        return f"{len(old)} bytes became {len(new)}"
    try:
        return words(old, new)
    except (ValueError, OSError, RecursionError, SafetensorError) as error:
        return f"not to be read ({one_line(error)})"


def first_difference(old: bytes, new: bytes) -> str:
    """Return from which epoch on two contents of plots/training.csv differ, and in what first.

    It is the data, the draws or the weights, or else the first column of figures that differs;
    nothing where the epochs that both have are the same, or have no hashes of these parts.
    """
    epochs = zip(_epochs(old), _epochs(new), strict=False)
    for number, (before, after) in enumerate(epochs, start=1):
        for column in (*_PARTS, *before):
            if before.get(column) != after.get(column):
                return f"from epoch {number} on: {column.removesuffix('_sha256')}"
    return ""


def _epochs(content: bytes) -> list[dict[str, str]]:
    """Return the cells of each epoch by their columns, if the parts are among these."""
    header, *rows = content.decode(errors="replace").splitlines() or [""]
    columns = header.split(",")
    told = set(_PARTS) <= set(columns)
    return [dict(zip(columns, row.split(","), strict=False)) for row in rows] if told else []


def _arrays(content: bytes) -> Mapping[str, NDArray[np.generic]]:
    if content.startswith(b"\x93NUMPY"):
        return {"": np.load(io.BytesIO(content), allow_pickle=False)}
    arrays: Mapping[str, NDArray[np.generic]] = load(content)
    return arrays


def _tensors(old: bytes, new: bytes) -> str:
    before, after = _arrays(old), _arrays(new)
    if _shapes(before) != _shapes(after):
        return "other shapes or types"
    pairs = [(before[name].astype(np.float64), after[name].astype(np.float64)) for name in before]
    largest = max(float(np.abs(first - second).max(initial=0)) for first, second in pairs)
    differing = sum(int((first != second).sum()) for first, second in pairs)
    if not differing:
        return "the same values, written otherwise"
    total = sum(first.size for first, _ in pairs)
    return f"{differing:,} of {total:,} values, largest absolute difference {largest:.3g}"


def _shapes(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, tuple[object, object]]:
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}


def _pixels(old: bytes, new: bytes) -> str:
    before, after = (np.asarray(Image.open(io.BytesIO(x)).convert("RGBA")) for x in (old, new))
    if before.shape != after.shape:
        sizes = [f"{width} x {height}" for height, width, _ in (before.shape, after.shape)]
        return f"{sizes[0]} pixels became {sizes[1]}"
    apart = np.abs(before.astype(np.int16) - after.astype(np.int16)).max(axis=2)
    return f"{np.count_nonzero(apart):,} of {apart.size:,} pixels, by up to {apart.max()} of 255"


def _values(old: bytes, new: bytes) -> str:
    before, after = (dict(leaves("", json.loads(content))) for content in (old, new))
    names = [name for name in before | after if before.get(name, _NONE) != after.get(name, _NONE)]
    if not names:
        return "the same values, written otherwise"
    shown = [
        f"{name} {shorten(before.get(name))} became {shorten(after.get(name))}"
        for name in names[:_SHOWN]
    ]
    return "; ".join(shown) + _more(len(names))


def _rows(old: bytes, new: bytes) -> str:
    since = first_difference(old, new)
    return f"{since}; {_lines(old, new)}" if since else _lines(old, new)


def _lines(old: bytes, new: bytes) -> str:
    before, after = old.splitlines(), new.splitlines()
    if len(before) != len(after):
        return f"{len(before):,} rows became {len(after):,}"
    pairs = zip(before, after, strict=True)
    rows = [row for row, (first, second) in enumerate(pairs, start=1) if first != second]
    if not rows:
        return "the same rows, ended otherwise"
    first, second = (
        shorten(lines[rows[0] - 1].decode(errors="replace")) for lines in (before, after)
    )
    return f"{len(rows):,} of {len(before):,} rows; row {rows[0]}: {first} became {second}"


def _more(names: int) -> str:
    return f"; and {names - _SHOWN} more" if names > _SHOWN else ""


def main() -> None:
    """Say how training went otherwise than in a commit, if it did."""
    with files_of(sys.argv[1]) as folder:
        kept = (folder / CURVES, CURVES)
        old, new = (path.read_bytes() if path.exists() else b"" for path in kept)
    if old != new:
        print(f"{CURVES}: {describe(CURVES.name, old, new)}")


if __name__ == "__main__":
    run_command(main)
