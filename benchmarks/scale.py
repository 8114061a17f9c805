"""The same pipeline on 1, 10 and 50 times the rows, stage by stage.

The rows beyond the first 42,000 and 28,000 are the same images, shifted by up to four pixels.
"""

import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.measure import COLUMNS, DATA, ROOT, STAGES, Row, rows_of, run, write_params
from benchmarks.show import FOLDER, render
from digits.data.csv_files import write_table
from digits.data.image_table import write_images

FACTORS = (1, 10, 50)
SCALED = (*STAGES, "score", "report")
MEASURED = FOLDER / "scale.csv"
SIDE = 28
# Down and right, in pixels, the shortest first.
SHIFTS = sorted(product(range(-4, 5), repeat=2), key=lambda shift: shift[0] ** 2 + shift[1] ** 2)
TRAIN, TEST, VALIDATION = 42_000, 28_000, 7000  # rows
READ = {"prepare": TRAIN + TEST, "predict": TEST, "score": TEST}  # the others: TRAIN


def write_copies(path: Path, rows: pd.DataFrame, copies: int) -> None:
    """Write a table of images so many times, each time shifted otherwise, a copy at a time."""
    images, part = rows.filter(like="pixel").to_numpy(), path.with_suffix(".part")
    with path.open("wb") as file:
        for shift in SHIFTS[:copies]:
            moved = np.roll(images.reshape(-1, SIDE, SIDE), shift, axis=(1, 2))
            write_images(part, moved.reshape(images.shape), rows.get("label"))
            lines = part.read_bytes()
            file.write(lines.partition(b"\n")[2] if file.tell() else lines)
    part.unlink()


def write_inputs(folder: Path, factor: int) -> None:
    """Write params and `factor` times the rows of data/mnist to a new folder."""
    (folder / DATA).mkdir(parents=True)
    write_params(folder, "fast", {"train.epochs": 1, "prepare.validation": VALIDATION * factor})
    for name in ("dvc.yaml", DATA / "answers.csv", "data/suspects.csv"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("train.csv", "test.csv"):
        rows = pd.read_csv(ROOT / DATA / name, dtype=np.uint8)
        write_copies(folder / DATA / name, rows, factor)


def measure(runs: int, factors: Sequence[int], last: str) -> pd.DataFrame:
    """Run the stages, up to the last, on numbers of rows; the subject is the factor of these."""
    rows: list[Row] = []
    for factor in factors:
        with TemporaryDirectory() as name:  # one at a time: 50 times the rows are 20 GB
            write_inputs(Path(name), factor)
            for number, stage in product(range(runs), SCALED[: SCALED.index(last) + 1]):
                print(f"{factor} times the rows, run {number + 1} of {runs}: {stage}", flush=True)
                cost, _ = run(["python", "-m", "stages", stage], Path(name))
                rows += rows_of(factor, stage, cost)
    return pd.DataFrame(rows, columns=COLUMNS)


def merge(table: pd.DataFrame) -> pd.DataFrame:
    """Put what was measured in the place of what was before; return all there is, and keep it."""
    before, key = pd.read_csv(MEASURED), ["subject", "stage"]
    kept = before[~before.set_index(key).index.isin(table.set_index(key).index)]
    write_table(MEASURED, together := pd.concat([kept, table]))
    return together


def report(table: pd.DataFrame) -> str:
    """Return the results in Markdown."""
    wide = table.pivot_table("value", ["subject", "stage"], "quantity", "median")
    rows = [factor * READ.get(stage, TRAIN) for factor, stage in wide.index]
    wide["microseconds"] = wide["wall"] * 1e6 / rows
    return render("scale.md.jinja", table, stages=SCALED, factors=FACTORS, costs=wide.T.to_dict())
