"""The same pipeline on 1, 3 and 10 times the rows, stage by stage.

The rows beyond the first 42,000 and 28,000 are real images, shifted by up to two pixels each way.
"""

import shutil
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.measure import COLUMNS, DATA, ROOT, STAGES, Row, rows_of, run, write_params
from benchmarks.show import Medians, render

FACTORS = (1, 3, 10)
SCALED = (*STAGES, "score")
SIDE, SHIFT = 28, 2
TRAIN, TEST, VALIDATION = 42_000, 28_000, 7000  # rows
READ = {"prepare": TRAIN + TEST, "train": TRAIN, "evaluate": VALIDATION}  # the others: TEST


def shifted_copies(pixels: NDArray[np.uint8], copies: int, seed: int) -> NDArray[np.uint8]:
    """Return images, shape (rows, pixels), and shifted ones after them, `copies` times as many."""
    generator = np.random.default_rng(seed)
    more = np.tile(pixels.reshape(-1, SIDE, SIDE), (copies, 1, 1))
    for image in more[len(pixels) :]:
        image[:] = np.roll(image, generator.integers(-SHIFT, SHIFT + 1, 2), axis=(0, 1))
    return more.reshape(-1, SIDE * SIDE)


def write_inputs(folder: Path, factor: int) -> None:
    """Write params and `factor` times the rows of data/mnist to a new folder."""
    (folder / DATA).mkdir(parents=True)
    write_params(folder, {"prepare.validation": VALIDATION * factor})
    for seed, name in enumerate(("train.csv", "test.csv")):
        rows = pd.read_csv(ROOT / DATA / name, dtype=np.uint8)
        first = len(rows.columns) - SIDE * SIDE  # after the label, if there is one
        more = np.tile(rows.to_numpy(), (factor, 1))
        more[:, first:] = shifted_copies(rows.to_numpy()[:, first:], factor, seed)
        pd.DataFrame(more, columns=rows.columns).to_csv(folder / DATA / name, index=False)
    shutil.copy(ROOT / DATA / "answers.csv", folder / DATA)


def measure(runs: int) -> pd.DataFrame:
    """Run every stage on every number of rows; the subject is how many times the rows there are."""
    rows: list[Row] = []
    with TemporaryDirectory() as name:
        for factor in FACTORS:
            write_inputs(Path(name) / f"{factor}", factor)
        for number in range(runs):
            print(f"run {number + 1} of {runs}", flush=True)
            for factor, stage in product(FACTORS, SCALED):
                cost, _ = run(["python", "-m", "stages", stage], Path(name) / f"{factor}")
                rows += rows_of(factor, stage, cost)
    return pd.DataFrame(rows, columns=COLUMNS)


def microseconds(medians: Medians, stage: str, factor: int) -> float:
    """Return the time for each row that the stage reads."""
    return medians(factor, stage) * 1e6 / (READ.get(stage, TEST) * factor)


def report(table: pd.DataFrame) -> str:
    """Return the results in Markdown."""
    names = {"stages": SCALED, "factors": FACTORS, "microseconds": microseconds}
    return render("scale.md.jinja", table, **names)
