"""Galleries: images in rows of ten, each under its title, as PNG files.

Pillow writes the words, whose pixels its own FreeType makes with whole numbers: the same bytes on
any machine, and in a third of the time that matplotlib takes to lay out as many texts.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digits.data.tensors import Statistics
from digits.evaluation.measures import Predictions
from digits.files import replacing
from digits.report.figures import RIGHT, WRONG

COLUMNS = 10
TILE, TITLE, GAP, HEADING = 114, 52, 16, 36  # pixels
FRAME = 191  # grey of the line round an image, 0 to 255
FONT = "fonts/ttf/DejaVuSans.ttf"  # among matplotlib's own
TITLE_SIZE, HEADING_SIZE = 13, 19  # pixels


class Tile(NamedTuple):
    """An image, shape (side, side), from 0, drawn white, to 255, black, and one or two lines."""

    image: NDArray[np.uint8]
    title: str
    colour: str = "black"  # of the title


def galleries(
    predictions: Predictions,
    images: NDArray[np.float32],
    statistics: Statistics,
    names: Sequence[str],
    size: int,
) -> Iterator[tuple[str, str, list[Tile]]]:
    """Yield name, title and tiles of each gallery: samples, the misclassified, the hardest.

    Each shows at most `size` of the images, shape (rows, pixels), which `statistics` normalised.
    """
    spread = np.linspace(0, len(images) - 1, min(size, len(images))).astype(np.int64)
    wrong, hardest = predictions.misclassified(), predictions.hardest()
    shown = f"{min(size, len(wrong))} of {len(wrong)}"
    for name, title, ranked in (
        ("samples", "Sample predictions; red: wrong", spread),
        ("misclassified", f"Misclassified, worst first: {shown}", wrong),
        ("hard", "Hard to predict, most evenly divided first; red: wrong", hardest),
    ):
        tiles = []
        for row in ranked[:size].tolist():
            shares, actual = predictions.probabilities[row], predictions.actual[row]
            words = _describe(shares, actual, names, divided=name == "hard")
            tiles.append(Tile(statistics.picture(images[row]), *words))
        yield name, title, tiles


def _describe(
    shares: NDArray[np.float64], actual: int, names: Sequence[str], *, divided: bool
) -> tuple[str, str]:
    """Return the likeliest class, or the two likeliest, and the actual one; and their colour."""
    first, second = np.argsort(-shares, kind="stable")[:2]
    colour = RIGHT if first == actual else WRONG
    if divided:
        parts = ", ".join(f"{names[label]}: {shares[label]:.0%}" for label in (first, second))
        return f"{parts}\nactual {names[actual]}", colour
    wrong = "" if first == actual else f"\nactual {names[actual]}"
    return f"predicted {names[first]}{wrong}", colour


def draw_gallery(path: Path, title: str, tiles: Sequence[Tile]) -> None:
    """Draw images in rows of ten, each under its title; without any, the gallery's title alone.

    An image is enlarged by a whole factor, so that each of its pixels is a square of one grey.
    """
    font = _font(TITLE_SIZE)
    side = max((len(tile.image) for tile in tiles), default=TILE)
    scale = max(1, TILE // side)
    lines = (line for tile in tiles for line in tile.title.splitlines())
    widest = ceil(max(map(font.getlength, lines), default=0))
    large = max(TILE, side * scale)
    width, height = max(large, widest) + GAP, large + TITLE
    rows = ceil(len(tiles) / COLUMNS)
    gallery = Image.new("RGB", (COLUMNS * width + GAP, rows * height + HEADING + GAP), "white")
    draw = ImageDraw.Draw(gallery)
    draw.text((GAP, HEADING // 3), title, "black", _font(HEADING_SIZE))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        picture = _enlarge(tile.image, scale)
        left = GAP + column * width + (width - GAP - picture.width) // 2
        bottom = HEADING + (row + 1) * height
        gallery.paste(picture, (left, bottom - picture.height))
        above = left + picture.width // 2, bottom - picture.height - 4
        draw.text(above, tile.title, tile.colour, font, anchor="md", align="center")
    with replacing(path) as temporary:
        gallery.save(temporary, format="png")


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return a font whose layout is Pillow's own, whatever libraries a machine has."""
    path = Path(mpl.get_data_path()) / FONT
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _enlarge(image: NDArray[np.uint8], scale: int) -> Image.Image:
    """Return an image black on white, each pixel `scale` wide and high, in a frame."""
    enlarged = (255 - image).repeat(scale, axis=0).repeat(scale, axis=1)
    return Image.fromarray(np.pad(enlarged, 1, constant_values=FRAME))
