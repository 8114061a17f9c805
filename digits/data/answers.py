"""True labels, looked up by the exact pixels of an image.

MNIST's 70,000 images all differ, and Kaggle's rows are MNIST's images unaltered, so that a digest
of the pixels finds the label, in a table of the columns `sha256` and `label`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import encode
from digits.data.csv_files import read_table, write_table

ANSWERS = Path("data/mnist/answers.csv")


def digests(pixels: NDArray[np.uint8]) -> Iterable[str]:
    """Return the SHA-256, in hexadecimal, of each image, shape (rows, pixels)."""
    return (hashlib.sha256(image.tobytes()).hexdigest() for image in pixels)


def write_answers(path: Path, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Write the table of images, shape (rows, pixels), and their labels, shape (rows,)."""
    write_table(path, pd.DataFrame({"sha256": list(digests(pixels)), "label": labels}))


def read_answers(path: Path) -> dict[str, str]:
    """Return the labels of the table at `path`, by digest; an `InputError` tells if it is none."""
    table = read_table(path, {"sha256": str, "label": str}, "what download writes", least=0)
    return dict(zip(table["sha256"], table["label"], strict=True))


def look_up(
    answers: Mapping[str, str], pixels: NDArray[np.uint8], classes: Sequence[str]
) -> NDArray[np.int64]:
    """Return the class of each image, shape (rows,), and `UNKNOWN` where there is no answer."""
    return encode((answers.get(digest, "") for digest in digests(pixels)), classes)
