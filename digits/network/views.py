"""Views: an image as it is, turned, larger, smaller, sheared and shifted; answers are averaged."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digits.exact import quantise
from digits.network.affine import PLACES, maps, move
from digits.network.model import IMAGE_BITS
from digits.params import Predict

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Which of the draws of `affine.move` each param is, for its own views: two for a shift.
DRAWS = {"rotation": [[0]], "shear": [[1]], "scale": [[2, 3]], "shift": [[4], [5]]}


def view_places(params: Predict, side: int) -> NDArray[np.float32]:
    """Return where each view takes its pixels from, off the centre, shape (views, 2, pixels).

    The first is the image as it is. Each param above 0 adds two, one way and the other; `shift`
    adds two along each axis.
    """
    places: NDArray[np.float32] = move(_draws(params), side, params)
    return places


def view_maps(params: Predict) -> NDArray[np.float32]:
    """Return what x, y and 1 are multiplied by for these places, shape (views, 2, 3)."""
    found: NDArray[np.float32] = maps(_draws(params), params).values.reshape(-1, 2, 3)
    return found


def _draws(params: Predict) -> NDArray[np.float64]:
    moved = [draws for name in DRAWS if getattr(params, name) for draws in DRAWS[name]]
    draws = np.zeros((6, 1 + 2 * len(moved)))
    for number, together in enumerate(moved):
        draws[together, 1 + 2 * number : 3 + 2 * number] = 1, -1
    return draws


def corners(
    places: NDArray[np.float32], side: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the four pixels around each place of each view, and their shares of what lies there.

    Both have the shape (4, views, pixels). What lies beyond an edge is as the pixel there.
    """
    at = np.rint(places.clip(-side / 2, side / 2) * PLACES) / PLACES + (side - 1) / 2
    low = np.floor(at)
    found, shares = [], []
    for corner in product((0, 1), repeat=2):
        step = np.reshape(corner, (2, 1))
        across, down = np.moveaxis((low + step).clip(0, side - 1).astype(np.int64), 1, 0)
        found.append(down * side + across)
        shares.append(np.where(step, at - low, 1 - (at - low)).prod(axis=1, dtype=np.float32))
    return np.stack(found), np.stack(shares)


def views(images: NDArray[np.float32], params: Predict) -> Iterator[NDArray[np.float32]]:
    """Yield the views of images, shape (rows, pixels), each in the same shape.

    A pixel is interpolated between four, as exactly as a network takes it: with `IMAGE_BITS`.
    """
    yield images
    columns = np.ascontiguousarray(quantise(images, IMAGE_BITS, 1).values.T)
    for matrix in _samplers(params, images.shape[1]):
        yield (matrix @ columns).T


@lru_cache(1)
def _samplers(params: Predict, pixels: int) -> list["csr_array[np.float32]"]:
    """Return what makes each view but the first of an image, shape (pixels,), by multiplication."""
    from scipy.sparse import csr_array  # noqa: PLC0415  (it takes a while, and most need none)

    side, ends, found = isqrt(pixels), np.arange(0, 4 * pixels + 1, 4), []
    for places in view_places(params, side)[1:]:
        near, shares = (one[:, 0].T.ravel() for one in corners(places[None], side))
        found.append(csr_array((shares, near, ends), (pixels, pixels)))
    return found
