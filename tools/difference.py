"""diff, plots: how the project differs from a commit; by how much two contents of a file do."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path, PurePath

import numpy as np
from dvc.cli import main as dvc
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load

from digits.errors import InputError, one_line, shorten
from digits.params import leaves
from tools.project import JUDGED, WORKING_TREE, files_of, find_commit, git, read_recorded

CURVES = Path("plots/training.csv")
DRAWN = ".plots"
# Each decides the next: the first that differs is where to look.
_PARTS = ("data_sha256", "draws_sha256", "weights_sha256")
_SHOWN = 3
_SAME = "the same values, written otherwise"
_NONE = object()  # that JSON never gives


def describe(name: str, old: bytes, new: bytes) -> str:
    """Return by how much `new` differs from `old`, both contents of a file of that name."""
    if words := _WORDS.get(PurePath(name).suffix):
        try:
            return words(old, new)
        except (ValueError, OSError, RecursionError, SafetensorError) as error:
            return f"not to be read ({one_line(error)})"
    return f"{len(old)} bytes became {len(new)}"


def _arrays(content: bytes) -> Mapping[str, NDArray[np.generic]]:
    if content.startswith(b"\x93NUMPY"):
        return {"": np.load(io.BytesIO(content), allow_pickle=False)}
    arrays: Mapping[str, NDArray[np.generic]] = load(content)
    return arrays


def _tensors(old: bytes, new: bytes) -> str:
    shapes, values = [], []
    for arrays in (_arrays(old), _arrays(new)):
        shapes.append({name: (array.shape, array.dtype) for name, array in arrays.items()})
        flat = (arrays[name].astype(np.float64).ravel() for name in sorted(arrays))
        values.append(np.concatenate([*flat]))
    if shapes[0] != shapes[1]:
        return "other shapes or types"
    apart = np.abs(values[0] - values[1])
    differing = np.count_nonzero(values[0] != values[1])
    told = f"{differing:,} of {len(apart):,} values, largest absolute difference"
    return f"{told} {apart.max():.3g}" if differing else _SAME


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
    shown = [
        f"{name} {shorten(before.get(name))} became {shorten(after.get(name))}"
        for name in names[:_SHOWN]
    ]
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return "; ".join(shown + more) or _SAME


def _rows(old: bytes, new: bytes) -> str:
    """Tell of rows; of training first from which epoch on it differs, and in what."""
    before, after = (content.decode(errors="replace").splitlines() for content in (old, new))
    since = _first_difference(before, after)
    if len(before) != len(after):
        return f"{since}{len(before):,} rows became {len(after):,}"
    rows = [row for row in range(len(before)) if before[row] != after[row]]
    if not rows:
        return "the same rows, ended otherwise"
    was, now = shorten(before[rows[0]]), shorten(after[rows[0]])
    return f"{since}{len(rows):,} of {len(before):,} rows; row {rows[0] + 1}: {was} became {now}"


def _first_difference(before: list[str], after: list[str]) -> str:
    """Return from which epoch on two contents of `CURVES` differ, and in what first.

    It is the data, the draws or the weights, or else the first column of figures that differs;
    nothing where the epochs that both have are the same, or have no hashes of these parts.
    """
    epochs = zip(csv.DictReader(before), csv.DictReader(after), strict=False)
    for number, (was, now) in enumerate(epochs, start=1):
        if was.keys() >= {*_PARTS} <= now.keys():
            for column in (*_PARTS, *was):
                if was[column] != now.get(column):
                    return f"from epoch {number} on: {column.removesuffix('_sha256')}; "
    return ""


_WORDS: Mapping[str, Callable[[bytes, bytes], str]] = {
    ".npy": _tensors,
    ".safetensors": _tensors,
    ".png": _pixels,
    ".json": _values,
    ".csv": _rows,
}


def diff(revision: str) -> None:
    """Say how metrics and training differ from those of a revision."""
    commit = _check_both(revision)
    table = _run_dvc("metrics", "diff", "--md", commit)
    told = "metrics/" in table
    print(table.rstrip() if told else f"No metric differs from those of {revision}.", end="\n\n")
    with files_of(commit) as folder:
        kept = (folder / CURVES, CURVES)
        old, new = (path.read_bytes() if path.exists() else b"" for path in kept)
    if old != new:
        print(f"{CURVES}: {describe(CURVES.name, old, new)}")


def plots(revision: str) -> None:
    """Draw the plots beside those of a revision, and list the pictures that differ."""
    commit = _check_both(revision)
    _run_dvc("plots", "diff", commit, "--out", DRAWN)
    for name in (
        git("diff", "--name-only", "--relative", commit, "--", "plots").decode().splitlines()
    ):
        print(f"- `{name}` differs")
    print(f"Now: open {DRAWN}/index.html")


def _check_both(revision: str) -> str:
    """Return the commit of a revision, if its results and those here are of their own code."""
    commit = find_commit(revision)
    for name, one in ((revision, commit), (WORKING_TREE, None)):
        with files_of(one) as folder:
            read_recorded(folder, name, JUDGED)
    return commit


def _run_dvc(*arguments: str) -> str:
    """Return what a command of DVC prints."""
    with redirect_stdout(io.StringIO()) as printed:
        status = dvc([*arguments])
    if status:
        raise InputError(f"dvc {' '.join(arguments)}: status {status}; expected 0: see above")
    return printed.getvalue()
