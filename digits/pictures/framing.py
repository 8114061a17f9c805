"""Ink framed as the digits of MNIST are: scaled, centred, and drawn with such a pen.

LeCun et al. 1998, "Gradient-based learning applied to document recognition", section III-A: light
on dark, scaled as it is to fit a box of 20 x 20 pixels, and placed so that its centre of mass is
the middle of 28 x 28. The report page does so with the strokes that are drawn in it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digits.pictures.ink import LEAST_CONTRAST, BlankError, find_ink
from digits.pictures.layout import Box, Digit, share_out
from digits.pictures.reading import LARGEST
from digits.pictures.sheets import border

BOX = 20 / 28  # of the side of an image
FINEST = 2.4 / 28  # of the same: the least width of a stroke, which is that of the page's pen
BROADEST = 3.2 / 28  # and the greatest; nine of ten images of MNIST have no broader one
FINE = 4  # parts of a pixel's side, over which its grey is averaged
SPECKS = 0.005  # share of the ink that may lie beyond each side of the box
PALE = 25  # levels of 255, up to which a pixel counts as paper
SPARE = 2  # pixels by which an image may differ from what MNIST has
TURNS = (0, -15, 15)  # degrees
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


@dataclass(frozen=True)
class Framed:
    """A digit as the network knows it: light on dark.

    Attributes:
        box: where it lies in the picture, in pixels of the picture.
        views: as it is and turned both ways, shape (views, side, side), from 0 to 255.
    """

    box: Box
    views: NDArray[np.uint8]


def prepare(colours: NDArray[np.float64], side: int, *, sheet: bool = False) -> list[Framed]:
    """Return the digits in a picture, in reading order.

    A picture of `side` x `side` pixels whose digit is where MNIST has it stays as it is, or becomes
    its negative where its border is light.

    Args:
        colours: shape (height, width, 3), from 0 to 255.
        side: height and width of the views.
        sheet: whether whatever does not touch is a digit of its own.

    Raises:
        BlankError: the picture is blank.
    """
    if colours.shape[:2] == (side, side):
        light = _as_light_on_dark(np.rint(colours @ LUMA))
        if is_framed(light):
            return [Framed(Box(0, 0, side, side), light[np.newaxis])]
    larger = enlarge(colours)
    scale = colours.shape[0] / larger.shape[0], colours.shape[1] / larger.shape[1]
    digits = share_out(find_ink(larger), sheet=sheet)
    return [Framed(digit.box.scaled(*scale), _views(digit, side)) for digit in digits]


def _as_light_on_dark(greys: NDArray[np.float64]) -> NDArray[np.uint8]:
    if np.ptp(greys) < LEAST_CONTRAST:
        raise BlankError("blank")
    light = 255 - greys if np.median(border(greys)) > 127 else greys
    return light.astype(np.uint8)


def is_framed(light: NDArray[np.uint8]) -> bool:
    """Return whether an image, shape (side, side), has its ink where the box of MNIST is.

    What reaches from one side to the other is framed in another way: clothes fill their images.
    """
    side = len(light)
    down, across = np.nonzero(light > PALE)
    length = max(np.ptp(down), np.ptp(across)) + 1
    middles = [np.average(np.arange(side) + 0.5, weights=light.sum(axis=axis)) for axis in (0, 1)]
    off = np.abs(np.array(middles) - side / 2).max()
    least, most = (BOX * side - SPARE, BOX * side + SPARE)
    return bool(length >= side - 1 or (least <= length <= most and off <= SPARE))


def enlarge(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a small picture as large as others are."""
    height, width = colours.shape[:2]
    times = LARGEST / max(height, width)
    if times <= 1:
        return colours
    size = max(round(width * times), 1), max(round(height * times), 1)
    picture = Image.fromarray(np.rint(colours).astype(np.uint8))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float64)


def _views(digit: Digit, side: int) -> NDArray[np.uint8]:
    """Return the ink of a digit framed as it is and turned, shape (views, side, side)."""
    padded = np.pad(digit.ink, 1)  # for nothing is between the middles of a single row's pixels
    views = [frame(ndimage.rotate(padded, turn, order=1), side) for turn in TURNS]
    return np.rint(np.stack(views) * 255).astype(np.uint8)


def frame(ink: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return an image of ink, shape (side, side), from 0 to 1.

    Args:
        ink: shape (height, width), from 0 to 1, and somewhere above 0.
        side: height and width of the image.
    """
    fine = redraw(scale(ink, side * FINE), FINEST * side * FINE, BROADEST * side * FINE)
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
    is_ink = ink > ink.max() / 2
    (top, bottom), (left, right) = map(_extent, np.nonzero(is_ink))
    length = max(bottom - top, right - left)
    # A square has half its side; what is measured of a few pixels would be more.
    pen = min(measure_pen(is_ink), length / 2)
    # Of a pixel of the image, in those of the picture. Ink becomes longer or shorter with its pen.
    least, most = ((length - pen) / (BOX - width) for width in (FINEST, BROADEST))
    size = min(max(length / BOX, least), most) / side
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


def redraw(ink: NDArray[np.float64], least: float, most: float) -> NDArray[np.float64]:
    """Return ink as a pen from `least` to `most` pixels wide would have drawn it, from 0 to 1."""
    strong = ink / ink.max()
    is_ink = strong > 0.5
    pen = measure_pen(is_ink)
    if least <= pen <= most:
        return np.asarray(strong)
    # How far inside the edge of the ink each pixel's centre lies; outside it, below 0.
    depth = ndimage.distance_transform_edt(is_ink) - ndimage.distance_transform_edt(~is_ink)
    grown = (np.clip(pen, least, most) - pen) / 2
    redrawn = np.clip(depth - np.sign(depth) / 2 + grown + 0.5, 0, 1)
    return np.asarray(redrawn if redrawn.max() > 0.5 else strong)
