"""Tensors on disk: npy files written row by row as they come, and read by memory-mapping.

A directory of prepared data holds

    statistics.json                     what the pixels were normalised with
    classes.json                        the label of each class
    ids.csv                             what a submission calls the test images by
    train/, validation/                 images.npy (rows, pixels) float32, labels.npy (rows,) int64,
                                        and rows.npy (rows,) int64: the row of the CSV file, from 1,
                                        as an editor counts
    test/                               images.npy

and beside it lie the probabilities that evaluate gives the validation rows.
"""

import math
import os
import re
from collections.abc import Iterator
from math import isqrt
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from digits.errors import InputError, expecting
from digits.files import write_json

PREPARED = Path("data/prepared")
PROBABILITIES = Path("data/probabilities.npy")  # (rows, classes) float64
WRITTEN = "what prepare writes"
BLOCK = 4096  # rows
_START = 10  # bytes of an npy file before its header: magic, version, and the header's length
_HEADER = re.compile(
    rb"\x93NUMPY\x01\0..\{'descr': '(<f4|<f8|<i8)', 'fortran_order': False, "
    rb"'shape': \(([0-9]{1,18}),(?: ([0-9]{1,18}))?\), \} *\n",
    re.DOTALL,
)


class RowWriter:
    """An npy file that grows by rows; its header is completed when the `with` block ends.

    Rows are written to the file, not mapped, so that memory does not grow with the file.
    """

    def __init__(self, path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
        """Open `path` for rows of `shape` and `dtype`."""
        self._file = path.open("wb")
        self._dtype = np.dtype(dtype)
        self._shape = shape
        self._rows = 0
        self._write_header()

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, rows: NDArray[Any]) -> None:
        """Write `rows`, shape (n, *shape), after those before; values must fit the dtype."""
        if rows.shape[1:] != self._shape:
            raise ValueError(f"rows of shape {rows.shape[1:]} in a file of {self._shape}")
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._rows += len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            # NumPy pads a header for up to 21 digits of rows, so that it keeps its length.
            self._file.seek(0)
            self._write_header()


class Statistics(BaseModel):
    """What all images were normalised with, over the training pixels.

    Attributes:
        mean: mean pixel, from 0 to 255.
        std: standard deviation of the pixels (of the population), above 0.
        pixels: pixels of an image, a square number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    mean: Annotated[float, Field(ge=0, le=255)]
    std: Annotated[float, Field(gt=0, le=255)]
    pixels: Annotated[int, Field(ge=1, lt=2**31)]

    @property
    def side(self) -> int:
        """Height and width of an image, in pixels."""
        return isqrt(self.pixels)

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (pixels - mean) / std, from 0 to 255, in the same shape, as float32."""
        table = ((np.arange(256) - self.mean) / self.std).astype(np.float32)
        return table[pixels]

    def restore(self, images: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the pixels, from 0 to 255, that `normalise` made `images` from."""
        return np.rint(images.astype(np.float64) * self.std + self.mean).astype(np.uint8)

    def picture(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return one normalised image, shape (pixels,), as a picture, shape (side, side)."""
        return self.restore(image).reshape(self.side, self.side)

    def save(self, path: Path) -> None:
        """Write the statistics as JSON."""
        write_json(path, self.model_dump())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the statistics that `save` wrote.

        Raises:
            InputError: there is no such file, or it does not hold them.
        """
        with expecting(path, WRITTEN):
            content = path.read_bytes()
        try:
            statistics = cls.model_validate_json(content)
        except ValidationError as error:
            [first, *_] = error.errors(include_url=False)
            where = "".join(f"{key}: " for key in first["loc"])
            raise InputError(f"{path}: {where}{first['msg']}; expected {WRITTEN}") from None
        if statistics.side**2 != statistics.pixels:
            raise InputError(f"{path}: pixels = {statistics.pixels}; expected a square number")
        return statistics


def map_images(path: Path, pixels: int | None = None) -> NDArray[np.float32]:
    """Memory-map normalised images, shape (rows, pixels); changes stay in memory.

    Raises:
        InputError: there is no such file, or it does not hold images, of `pixels` pixels if given.
    """
    images: NDArray[np.float32] = _map(path, np.float32, dimensions=2)
    if pixels is not None and images.shape[1] != pixels:
        raise InputError(f"{path}: images of {images.shape[1]} pixels; expected {pixels}")
    for start in range(0, len(images), BLOCK):
        _check_finite(path, images[start : start + BLOCK])
    return images


def map_probabilities(classes: int, rows: int) -> NDArray[np.float64]:
    """Return what evaluate gives each class of the validation rows, shape (rows, classes).

    Raises:
        InputError: there is no such file, or it does not hold so many rows from 0 to 1.
    """
    found: NDArray[np.float64] = _map(PROBABILITIES, np.float64, dimensions=2)
    if found.shape != (rows, classes) or not ((found >= 0) & (found <= 1)).all():
        raise InputError(
            f"{PROBABILITIES}: not {rows} rows of {classes} probabilities; "
            "expected what evaluate writes"
        )
    return found


def count_images(path: Path) -> tuple[int, int]:
    """Return how many normalised images a file holds, and of how many pixels; no pixel is read.

    Raises:
        InputError: there is no such file, or it does not hold images.
    """
    rows, pixels = _map(path, np.float32, dimensions=2).shape
    return rows, pixels


def read_images(path: Path) -> Iterator[NDArray[np.float32]]:
    """Yield normalised images, shape (rows, pixels), in order, in blocks that bound memory.

    They are read and not mapped: the pages of a mapping would stay, as many as there are.

    Raises:
        InputError: there is no such file, or it does not hold images.
    """
    images = _map(path, np.float32, dimensions=2)
    rows, pixels = images.shape
    with expecting(path, WRITTEN), path.open("rb") as file:
        file.seek(images.offset)
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            block = np.fromfile(file, np.float32, count * pixels).reshape(count, pixels)
            _check_finite(path, block)
            yield block


def _check_finite(path: Path, images: NDArray[np.float32]) -> None:
    if not np.isfinite(images).all():
        raise InputError(f"{path}: values that are not finite; expected {WRITTEN}")


def map_labelled(
    directory: Path, classes: int, pixels: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Memory-map the images of `directory`, as `map_images` does, and their labels, shape (rows,).

    Raises:
        InputError: a file is missing, or does not hold images, or labels below `classes` for them.
    """
    images = map_images(directory / "images.npy", pixels)
    path = directory / "labels.npy"
    labels: NDArray[np.int64] = _map(path, np.int64, dimensions=1)
    if len(labels) != len(images):
        raise InputError(f"{path}: {len(labels)} labels; expected one for each of {len(images)}")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"{path}: labels from {labels.min()} to {labels.max()}; expected 0 to {classes - 1}"
        )
    return images, labels


def map_rows(directory: Path, count: int) -> NDArray[np.int64]:
    """Memory-map which row of the CSV file each row of `directory` was, shape (rows,).

    Raises:
        InputError: there is no such file, or it does not hold so many rows, from 1 and rising.
    """
    path = directory / "rows.npy"
    rows: NDArray[np.int64] = _map(path, np.int64, dimensions=1)
    if len(rows) != count or rows[0] < 1 or (np.diff(rows) <= 0).any():
        raise InputError(f"{path}: not {count} rising rows; expected {WRITTEN}")
    return rows


def _map(path: Path, dtype: type[np.generic], dimensions: int) -> "np.memmap[Any, Any]":
    """Map the array in an npy file just as `RowWriter` writes it; NumPy would read far more."""
    with expecting(path, WRITTEN), path.open("rb") as file:
        start = file.read(_START)
        header = file.read(int.from_bytes(start[-2:], "little"))
        size = file.seek(0, os.SEEK_END)
    found = _HEADER.fullmatch(start + header)
    shape = tuple(int(count) for count in found.groups()[1:] if count) if found else ()
    kind = np.lib.format.dtype_to_descr(np.dtype(dtype))
    if found is None or found[1].decode() != kind or len(shape) != dimensions:
        raise InputError(
            f"{path}: no {np.dtype(dtype)} in {dimensions} dimensions; expected {WRITTEN}"
        )
    offset = len(start + header)
    if 0 in shape or size - offset != math.prod(shape) * np.dtype(dtype).itemsize:
        raise InputError(f"{path}: {size} bytes for shape {shape}; expected {WRITTEN}")
    # Copy-on-write, because torch warns of arrays that cannot be written to.
    return np.memmap(path, dtype, mode="c", offset=offset, shape=shape)
