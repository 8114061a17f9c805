"""Ink framed as the digits of MNIST are: scaled, centred, and drawn with such a pen.

LeCun et al. 1998, "Gradient-based learning applied to document recognition", section III-A: light
on dark, scaled as it is to fit a box of 20 x 20 pixels, and placed so that its centre of mass is
the middle of 28 x 28. The report page does so with the strokes that are drawn in it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

from digits.errors import expecting
from digits.pictures.ink import LEAST_CONTRAST, BlankError, border, find_ink
from digits.pictures.layout import share_out
from digits.pictures.reading import LARGEST, Picture, name_picture, read_picture

BOX = 20 / 28  # of the side of an image
FINEST = 2.4 / 28  # of the same: the least width of a stroke, which is that of the page's pen
BROADEST = 3.2 / 28  # and the greatest; nine of ten images of MNIST have no broader one
FINE = 4  # parts of a pixel's side, over which its grey is averaged
SPECKS = 0.005  # share of the ink that may lie beyond each side of the box
PALE = 25  # levels of 255, up to which a pixel counts as paper
SPARE = 2  # pixels by which an image may differ from what MNIST has
TURNS = (0, -15, 15)  # degrees


Place = tuple[int, int, int, int]  # left, top, width and height, in pixels of the picture


@dataclass(frozen=True)
class Digit:
    """A digit as the network knows it, light on dark, and turned both ways.

    `views` are from 0 to 255, of shape (views, side * side).
    """

    place: Place
    views: NDArray[np.uint8]


def find_digits(picture: Picture, side: int, *, sheet: bool = False) -> list[Digit]:
    """Return the digits in a picture as `prepare` does; InputError where it is none, or blank."""
    colours, times = read_picture(picture)
    expected = "something that stands out from its background"
    with expecting(name_picture(picture), expected, BlankError):
        return prepare(colours, side, times, sheet=sheet)


def prepare(
    picture: Image.Image, side: int, times: float = 1, *, sheet: bool = False
) -> list[Digit]:
    """Return the digits in a picture, in RGB, in reading order, as images of `side` x `side`.

    A picture of that size whose digit is where MNIST has it stays as it is, or becomes its negative
    where its border is light. Places are multiplied by `times`; `sheet` is as in `share_out`.
    `BlankError` where the picture is blank.
    """
    if picture.size == (side, side):
        greys = np.asarray(picture.convert("L"))
        light = ~greys if np.median(border(greys)) > 127 else greys
        if is_framed(light):
            return [Digit((0, 0, side, side), light.reshape(1, -1))]
    larger = ImageOps.contain(picture, (LARGEST, LARGEST), Image.Resampling.BICUBIC)
    times *= max(picture.size) / max(larger.size)
    digits = []
    for (down, across), ink in share_out(find_ink(np.asarray(larger, np.float64)), sheet=sheet):
        top, bottom = (round(edge * times) for edge in (down.start, down.stop))
        left, right = (round(edge * times) for edge in (across.start, across.stop))
        padded = np.pad(ink, 1)  # for nothing is between the middles of a single row's pixels
        views = [frame(ndimage.rotate(padded, turn, order=1), side).ravel() for turn in TURNS]
        pixels = np.rint(np.stack(views) * 255).astype(np.uint8)
        digits.append(Digit((left, top, right - left, bottom - top), pixels))
    return digits


def is_framed(light: NDArray[np.uint8]) -> bool:
    """Return whether an image, shape (side, side), has its ink where the box of MNIST is.

    What reaches from one side to the other is framed in another way: clothes fill their images.
    """
    side, places = len(light), np.argwhere(light > PALE)
    if np.ptp(light) < LEAST_CONTRAST or not len(places):
        return False
    length = np.ptp(places, axis=0).max() + 1
    off = np.abs(np.array(ndimage.center_of_mass(light)) + 0.5 - side / 2).max()
    is_in_box = abs(length - BOX * side) <= SPARE and off <= SPARE
    return bool(length >= side - 1 or is_in_box)


def frame(ink: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return an image, shape (side, side), of ink from 0 to 1 that is somewhere above 0."""
    fine = redraw(scale(ink, side * FINE), FINEST * side * FINE, BROADEST * side * FINE)
    down, across = (round(middle + 0.5) for middle in ndimage.center_of_mass(fine))
    half = side * FINE // 2
    centred = np.pad(fine, half)[down : down + 2 * half, across : across + 2 * half]
    image: NDArray[np.float64] = centred.reshape(side, FINE, side, FINE).mean(axis=(1, 3))
    return image


def scale(ink: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return ink scaled to fit the box of an image of `side` pixels, with a margin around it."""
    is_ink = ink > ink.max() / 2
    # Rows and columns between which it lies, but for specks.
    first, last = np.quantile(np.argwhere(is_ink), (SPECKS, 1 - SPECKS), axis=0)
    start, stop = first.astype(int), np.ceil(last).astype(int) + 1
    size = (stop - start).max() / (BOX * side)  # of a pixel of the image, in those of the picture
    margin = int(np.ceil(FINE * size))
    (top, left), (bottom, right) = start, stop + 2 * margin
    near = np.pad(ink, margin)[top:bottom, left:right]
    height, width = (max(round(pixels / size), 1) for pixels in near.shape)
    scaled = Image.fromarray(near.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(scaled, np.float64)


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
