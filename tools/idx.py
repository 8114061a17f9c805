"""idx: IDX files, the form of MNIST and of sets made after it, as a CSV file in Kaggle's form.

    python -m tools.idx IMAGES CSV
    python -m tools.idx IMAGES LABELS CSV

An IDX file (LeCun, Cortes and Burges 1998) is read as it is, or gzipped where its name ends in .gz.
"""

import gzip
import zlib
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.data.image_table import write_images
from digits.data.mnist import read_idx
from digits.errors import InputError, expecting, run_command

IMAGES, LABELS = 3, 1  # dimensions
_BYTES = b"\0\0\x08"  # how a file of unsigned bytes begins


def read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return what an IDX file of bytes holds, in its own shape.

    Args:
        path: of the file.
        dimensions: that it should have.

    Raises:
        InputError: there is no such file, or it is damaged, or of another kind.
    """
    expected = f"an IDX file of bytes with {dimensions} dimensions"
    with expecting(path, expected, EOFError, zlib.error, ValueError):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        if content[:4] != _BYTES + bytes([dimensions]):
            raise ValueError(f"begins with {content[:4].hex(' ') or 'nothing'}")
        return read_idx(content)


def convert(images: Path, labels: Path | None, table: Path) -> NDArray[np.uint8]:
    """Write images, and their labels if there are any, as CSV; return the images."""
    pixels = read(images, IMAGES)
    count, height, width = pixels.shape
    if height != width or not count:
        raise InputError(f"{images}: {count} images of {height} x {width}; expected square ones")
    known = None if labels is None else read(labels, LABELS).astype(np.int64)
    if known is not None and len(known) != count:
        raise InputError(f"{labels}: {len(known)} labels; expected {count}, as in {images}")
    write_images(table, pixels.reshape(count, -1), known)
    return pixels


def main() -> None:
    """Convert what the command line names."""
    parser = ArgumentParser(description="IDX files as a CSV file in Kaggle's form.")
    parser.add_argument("images", type=Path)
    parser.add_argument("labels", type=Path, nargs="?")
    parser.add_argument("csv", type=Path)
    arguments = parser.parse_args()
    count, side, _ = convert(arguments.images, arguments.labels, arguments.csv).shape
    print(f"{count:,} images of {side} x {side} pixels; wrote {arguments.csv}")


if __name__ == "__main__":
    run_command(main)
