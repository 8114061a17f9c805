"""Tensors on disk: npy files written block by block, and read by memory-mapping.

A directory of prepared data holds

    statistics.json         what the pixels were normalised with
    classes.json            the label of each class
    counts.json             how many rows there are, how many stand on both sides, and in which
                            line of its file, from 1, row 0 is, of labelled and of test images
    ids.csv                 what a submission calls the test images by
    images.npy              (rows, pixels) float32, of the training rows, and then of the others
    digests.json            sums of these rows' digests, of training and validation
    train/, validation/     pixels.npy (rows, pixels) uint8, as they came, labels.npy (rows,) int64,
                            and rows.npy (rows,) int64: the row index in the CSV file, from 0
    test/                   pixels.npy
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from math import isqrt, sqrt
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from digits.data.straightening import straighten
from digits.errors import InputError, expecting
from digits.params import Section

PREPARED = Path("data/prepared")
IMAGES, DIGESTS = PREPARED / "images.npy", PREPARED / "digests.json"
WRITTEN = "what prepare writes"
BLOCK = 4096  # rows


def _check_square(pixels: int) -> int:
    if isqrt(pixels) ** 2 != pixels:
        raise ValueError("expected a square number")
    return pixels


class Statistics(Section):
    """What all images were normalised with, and how many pixels they have."""

    mean: Annotated[float, Field(ge=0, le=255)]  # of the training pixels
    std: Annotated[float, Field(ge=1e-6, le=255)]  # of the population
    pixels: Annotated[int, Field(ge=1, lt=2**31), AfterValidator(_check_square)]
    straightened: bool  # before

    @classmethod
    def measure(cls, blocks: Iterable[NDArray[np.uint8]], *, straightened: bool) -> Self:
        """Return those of images as they came, (rows, pixels), from sums of whole numbers.

        ValueError where all pixels are equal.
        """
        counts, pixels = np.zeros(256, np.int64), 0
        for block in blocks:
            straight = straighten(block) if straightened else block
            counts += np.bincount(straight.ravel(), minlength=256)
            pixels = block.shape[1]
        count, total, squares = (int(counts @ np.arange(256) ** power) for power in range(3))
        if not (variance := count * squares - total * total):
            raise ValueError("all training pixels are equal")
        mean, std = total / count, sqrt(variance / (count * count))
        return cls(mean=mean, std=std, pixels=pixels, straightened=straightened)

    @property
    def side(self) -> int:
        """Height and width of an image, in pixels."""
        return isqrt(self.pixels)

    def upright(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return images, (rows, pixels), straight if these are."""
        return straighten(pixels) if self.straightened else pixels

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return images, (rows, pixels), as `upright` does, as float32: (p - mean) / std."""
        return ((np.arange(256) - self.mean) / self.std).astype(np.float32)[self.upright(pixels)]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the statistics that prepare wrote; an `InputError` tells if these are none."""
        with expecting(path, WRITTEN, ValueError):
            return cls.model_validate_json(path.read_bytes())


class Digests(Section):
    """What `digest_rows` returns of all training and of all validation rows."""

    training: Annotated[tuple[int, int, int, int], Field(strict=False)]
    validation: Annotated[tuple[int, int, int, int], Field(strict=False)]

    @classmethod
    def load(cls) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Read those that prepare wrote; an `InputError` tells if these are none."""
        with expecting(DIGESTS, WRITTEN, ValueError, OverflowError):
            found = cls.model_validate_json(DIGESTS.read_bytes())
            return np.array(found.training, np.uint64), np.array(found.validation, np.uint64)


def write_blocks(
    path: Path, kind: type[np.generic], shape: tuple[int, int], blocks: Iterable[NDArray[Any]]
) -> None:
    """Write blocks of that type, together of that shape, as an npy file."""
    header = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.data)


def map_array(path: Path, dtype: type[np.generic], *shape: int | None) -> NDArray[Any]:
    """Memory-map an npy file, copy-on-write; None in `shape` stands for any length but 0.

    An `InputError` tells if there is no such file, or it does not hold such an array.
    """
    with expecting(path, WRITTEN, Exception):  # NumPy raises nearly any of a damaged header
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="c")  # torch warns of mode r
    known = tuple(length or one for length, one in zip(shape, array.shape, strict=False))
    kind = np.dtype(dtype)
    if array.dtype != kind or array.shape != known or len(known) != len(shape) or 0 in known:
        lengths = ", ".join("any" if length is None else str(length) for length in shape)
        raise InputError(
            f"{path}: {array.dtype} of shape {array.shape}; expected {kind} of shape ({lengths})"
        )
    return array


def map_pixels(directory: Path, pixels: int) -> NDArray[np.uint8]:
    """Memory-map images as they came, shape (rows, pixels), as `map_array` does."""
    return map_array(directory / "pixels.npy", np.uint8, None, pixels)


def read_pixels(directory: Path, pixels: int) -> Iterator[NDArray[np.uint8]]:
    """Yield images as they came, shape (rows, pixels), in blocks."""
    for start in range(0, len(map_pixels(directory, pixels)), BLOCK):
        # Mapped anew, as the pages of one mapping would stay, as many as there are.
        yield map_pixels(directory, pixels)[start : start + BLOCK]


def digest_rows(
    images: NDArray[np.float32], labels: NDArray[np.int64], first: int
) -> NDArray[np.uint64]:
    """Return the sum of rows' digests, modulo 2 ** 64 in each of four parts, shape (4,).

    Images have the shape (rows, pixels), labels (rows,). A row's digest is the SHA-256 of its
    index, of which the first has `first`, its label and its image; whoever adds them up, in any
    order, comes to one sum (AdHash: Bellare and Micciancio 1997, "A new paradigm for collision-free
    hashing: incrementality at reduced cost").
    """
    found = np.zeros(4, np.uint64)
    for start in range(0, len(labels), BLOCK):
        rows = zip(images[start : start + BLOCK], labels[start : start + BLOCK], strict=True)
        told = (
            sha256(b"%d %d " % (index, label) + image.tobytes()).digest()
            for index, (image, label) in enumerate(rows, first + start)
        )
        found += np.frombuffer(b"".join(told), "<u8").reshape(-1, 4).sum(axis=0)
    return found


def map_labels(directory: Path, classes: int, rows: int | None = None) -> NDArray[np.int64]:
    """Memory-map labels, from 0 to `classes` - 1, shape (rows,), as `map_array` does."""
    path = directory / "labels.npy"
    labels: NDArray[np.int64] = map_array(path, np.int64, rows)
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"{path}: labels from {labels.min()} to {labels.max()}; expected 0 to {classes - 1}"
        )
    return labels
