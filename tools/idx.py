"""idx: IDX files, the form of MNIST and of sets made after it, as a CSV file in Kaggle's form."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.data.image_table import write_images
from digits.data.mnist import read_idx
from digits.errors import InputError, expecting


def read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return what an IDX file of bytes holds, in its own shape, of so many dimensions.

    It (LeCun, Cortes and Burges 1998) is read as it is, or gzipped where its name ends in .gz.
    """
    expected = f"an IDX file of bytes with {dimensions} dimensions"
    with expecting(path, expected, EOFError, zlib.error, ValueError):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        if content[:4] != bytes([0, 0, 8, dimensions]):  # 8: unsigned bytes
            raise ValueError(f"begins with {content[:4].hex(' ') or 'nothing'}")
        return read_idx(content)


def main(images: Path, labels: Path | None, table: Path) -> None:
    """Write images, and their labels if there are any, as CSV."""
    pixels = read(images, dimensions=3)
    count, height, width = pixels.shape
    if height != width or not count:
        raise InputError(f"{images}: {count} images of {height} x {width}; expected square ones")
    known = read(labels, dimensions=1).astype(np.int64) if labels else None
    if known is not None and len(known) != count:
        raise InputError(f"{labels}: {len(known)} labels; expected {count}, as in {images}")
    write_images(table, pixels.reshape(count, -1), known)
    print(f"{count:,} images of {width} x {height} pixels; wrote {table}")
