"""Ink framed as the digits of MNIST are: scaled, centred, and drawn with no thin pen.

LeCun et al. 1998, "Gradient-based learning applied to document recognition", section III-A: light
on dark, scaled as it is to fit a box of 20 x 20 pixels, and placed so that its centre of mass is
the middle of 28 x 28. The report page does so with the strokes that are drawn in it.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.ink import LEAST_CONTRAST, BlankError, border, find_ink

BOX = 20 / 28  # of the side of an image
PEN = 2.4 / 28  # of the same: the least width of a stroke, which is that of the page's pen
FINE = 4  # parts of a pixel's side, over which its grey is averaged
SPECKS = 0.005  # share of the ink that may lie beyond each side of the box
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def prepare(colours: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Return what a picture shows, as the network knows it: light on dark, from 0 to 255.

    A picture of `side` x `side` pixels counts as prepared: it stays as it is, or becomes its
    negative where its border is light.

    Args:
        colours: shape (height, width, 3), from 0 to 255.
        side: height and width of the result, shape (side, side).

    Raises:
        BlankError: the picture is blank.
    """
    if colours.shape[:2] == (side, side):
        return _as_light_on_dark(np.rint(colours @ LUMA))
    return np.rint(frame(find_ink(colours), side) * 255).astype(np.uint8)


def _as_light_on_dark(greys: NDArray[np.float64]) -> NDArray[np.uint8]:
    if np.ptp(greys) < LEAST_CONTRAST:
        raise BlankError("blank")
    light = 255 - greys if np.median(border(greys)) > 127 else greys
    return light.astype(np.uint8)


def frame(ink: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return an image of ink, shape (side, side), from 0 to 1.

    Args:
        ink: shape (height, width), from 0 to 1, and somewhere above 1/2.
        side: height and width of the image.
    """
    fine = broaden(scale(ink, side * FINE), PEN * side * FINE)
    down, across = (_centre_of_mass(fine, axis) for axis in (0, 1))
    half = side * FINE // 2
    centred = np.pad(fine, half)[down : down + 2 * half, across : across + 2 * half]
    image: NDArray[np.float64] = centred.reshape(side, FINE, side, FINE).mean(axis=(1, 3))
    return image


def _centre_of_mass(ink: NDArray[np.float64], axis: int) -> int:
    """Return the edge between pixels that is nearest to the centre of mass along an axis."""
    places = np.arange(ink.shape[axis]) + 0.5
    return round(float(np.average(places, weights=ink.sum(axis=1 - axis))))


def scale(ink: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return ink scaled to fit the box of an image of `side` pixels, with a margin around it."""
    is_ink = ink > 0.5
    (top, bottom), (left, right) = map(_extent, np.nonzero(is_ink))
    length, pen = max(bottom - top, right - left), measure_pen(is_ink)
    # Of a pixel of the image, in those of the picture. A thin pen becomes broader, and so the ink
    # becomes longer.
    size = max(length / BOX, (length - pen) / (BOX - PEN)) / side
    margin = int(np.ceil(FINE * size))
    near = np.pad(ink, margin)[top : bottom + 2 * margin, left : right + 2 * margin]
    height, width = (max(round(pixels / size), 1) for pixels in near.shape)
    scaled = Image.fromarray(near.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(scaled, np.float64)


def _extent(places: NDArray[np.int64]) -> tuple[int, int]:
    """Return between which rows, or columns, ink lies, but for specks."""
    first, last = np.quantile(places, (SPECKS, 1 - SPECKS))
    return int(first), int(np.ceil(last)) + 1


def measure_pen(is_ink: NDArray[np.bool_]) -> float:
    """Return the mean width of strokes, in pixels: twice their area by their edges' length.

    The gradients at the corners of pixels add up to the length of an edge of any slope, nearly.
    """
    padded = np.pad(is_ink, 1).astype(np.float64)
    down = np.diff(padded, axis=0)
    across = np.diff(padded, axis=1)
    gradient = np.hypot(down[:, 1:] + down[:, :-1], across[1:] + across[:-1]) / 2
    return float(2 * padded.sum() / gradient.sum())


def broaden(ink: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Return ink as a pen of at least `width` pixels would have drawn it, from 0 to 1."""
    strong = ink / ink.max()
    radius = max(width - measure_pen(strong > 0.5), 0) / 2
    reach = int(radius)
    padded = np.pad(strong, reach)
    height, breadth = ink.shape
    broad: NDArray[np.float64] = strong
    for down, across in product(range(-reach, reach + 1), repeat=2):
        if np.hypot(down, across) <= radius:
            shifted = padded[reach + down :, reach + across :][:height, :breadth]
            broad = np.maximum(broad, shifted)
    return broad
