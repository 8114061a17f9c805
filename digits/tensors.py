"""Tensors on disk: npy files written row by row as they come, and read by memory-mapping.

A directory of prepared data holds

    statistics.json                     what the pixels were normalised with
    train/, validation/                 images.npy (rows, pixels) float32, labels.npy (rows,) int64
    test/                               images.npy
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isqrt
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from digits.errors import expecting
from digits.files import write_json

PREPARED = Path("data/prepared")


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
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).tobytes())
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


@dataclass(frozen=True)
class Statistics:
    """What all images were normalised with, over the training pixels.

    Attributes:
        mean: mean pixel, from 0 to 255.
        std: standard deviation of the pixels (of the population), above 0.
        pixels: pixels of an image, a square number.
    """

    mean: float
    std: float
    pixels: int

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
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the statistics that `save` wrote."""
        with expecting(path, "what prepare writes"):
            values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(**values)


def map_rows(path: Path) -> NDArray[Any]:
    """Memory-map the array in the npy file `path`; changes stay in memory."""
    with expecting(path, "what prepare writes"):
        # Copy-on-write, because torch warns of arrays that cannot be written to.
        array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return array
