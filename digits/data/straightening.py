"""Straightening: the slant of each image taken out, by a shear along its rows.

By the second moments of the ink, its principal axis is made vertical, as LeCun et al. (1998,
"Gradient-based learning applied to document recognition", section III-A) did for their deslanted
images. All is whole numbers, or one operation of IEEE 754 at a time.
"""

from math import isqrt

import numpy as np
from numpy.typing import NDArray

BLOCK = 4096  # images at a time, which bounds memory
PLACES = 256  # between two pixels
STEEPEST = 1.0  # columns for each row, at most


def straighten(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images, shape (rows, side * side), of light ink on 0, upright, in the same shape.

    A row of an image is moved as a whole, by its distance from the centre of the ink, and
    interpolated between two pixels. What comes in from outside is as the pixel at the edge.
    """
    blocks = np.split(pixels, range(BLOCK, len(pixels), BLOCK))
    return np.concatenate([_shear(block, isqrt(pixels.shape[1])) for block in blocks])


def _shear(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    moved = np.floor(_moves(pixels, side) * PLACES + 0.5).astype(np.int64).ravel()
    whole, part = np.divmod(moved, PLACES)
    # Each row between `side` copies of its ends, of which a window is what the moved row shows.
    wide = np.pad(pixels.reshape(-1, side), ((0, 0), (side, side)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, side + 1, axis=1)
    rows = windows[np.arange(len(wide)), np.clip(whole, -side, side - 1) + side].astype(np.uint16)
    right = part.astype(np.uint16)[:, None]
    mixed = rows[:, :-1] * (PLACES - right) + rows[:, 1:] * right + PLACES // 2
    found: NDArray[np.uint8] = (mixed // PLACES).astype(np.uint8).reshape(pixels.shape)
    return found


def _moves(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Return how far to the right each row of each image takes its pixels from, (images, side)."""
    down, across = np.divmod(np.arange(side * side, dtype=np.float64), side)
    terms = np.stack([np.ones(side * side), down, across, down * down, down * across], axis=1)
    # Sums of whole numbers, exact in any order.
    ink, *sums = (pixels.astype(np.float64) @ terms).T
    y, x, yy, yx = (one / np.maximum(ink, 1) for one in sums)
    variance, covariance = yy - y * y, yx - y * x
    slant = np.clip(covariance / np.where(variance > 0, variance, np.inf), -STEEPEST, STEEPEST)
    moves: NDArray[np.float64] = slant[:, None] * (np.arange(side) - y[:, None])
    return moves
