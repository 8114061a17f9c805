"""True labels, looked up by the exact pixels of an image.

MNIST's 70,000 images all differ, and Kaggle's rows are MNIST's images unaltered, so that a digest
of the pixels finds the label. The table has the columns `sha256`, of the pixels as bytes, in
hexadecimal, and `label`.
"""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import expecting
from digits.files import write_csv

ANSWERS = Path("data/mnist/answers.csv")
UNKNOWN = -1


def _digests(pixels: NDArray[np.uint8]) -> Iterable[str]:
    return (hashlib.sha256(image.tobytes()).hexdigest() for image in pixels)


def write_answers(path: Path, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Write the table of images, shape (rows, pixels), and their labels, shape (rows,)."""
    write_csv(path, ["sha256", "label"], zip(_digests(pixels), labels.tolist(), strict=True))


def read_answers(path: Path) -> dict[str, int]:
    """Return the labels of the table at `path`, by digest."""
    with expecting(path, "what download writes"), path.open(newline="", encoding="ascii") as file:
        return {row["sha256"]: int(row["label"]) for row in csv.DictReader(file)}


def look_up(answers: dict[str, int], pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the label of each image, shape (rows,), and `UNKNOWN` where there is no answer."""
    return np.array([answers.get(digest, UNKNOWN) for digest in _digests(pixels)], dtype=np.int64)
