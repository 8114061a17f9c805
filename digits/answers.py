"""True labels, looked up by the exact pixels of an image.

MNIST's 70,000 images all differ, and Kaggle's rows are MNIST's images unaltered, so that a digest
of the pixels finds the label. The table has the columns `sha256`, of the pixels as bytes, in
hexadecimal, and `label`.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import InputError, expecting, shorten
from digits.files import write_csv

ANSWERS = Path("data/mnist/answers.csv")
UNKNOWN = -1
_ROW = re.compile("[0-9a-f]{64},[0-9]{1,3}")


def digests(pixels: NDArray[np.uint8]) -> Iterable[str]:
    """Return the SHA-256, in hexadecimal, of each image, shape (rows, pixels)."""
    return (hashlib.sha256(image.tobytes()).hexdigest() for image in pixels)


def write_answers(path: Path, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Write the table of images, shape (rows, pixels), and their labels, shape (rows,)."""
    write_csv(path, ["sha256", "label"], zip(digests(pixels), labels.tolist(), strict=True))


def read_answers(path: Path) -> dict[str, int]:
    """Return the labels of the table at `path`, by digest.

    Raises:
        InputError: there is no such file, or it is not the table that `write_answers` writes.
    """
    expected = "what download writes"
    with expecting(path, expected, UnicodeDecodeError), path.open(encoding="ascii") as file:
        lines = file.read().split("\n")
    if lines[0] != "sha256,label" or lines[-1]:
        raise InputError(f"{path}: not the table 'sha256,label'; expected {expected}")
    for row, line in enumerate(lines[1:-1], start=2):
        if not _ROW.fullmatch(line):
            raise InputError(f"{path}: row {row}: {shorten(line)}; expected a SHA-256 and a label")
    return {line[:64]: int(line[65:]) for line in lines[1:-1]}


def look_up(answers: dict[str, int], pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the label of each image, shape (rows,), and `UNKNOWN` where there is no answer."""
    return np.array([answers.get(digest, UNKNOWN) for digest in digests(pixels)], dtype=np.int64)
