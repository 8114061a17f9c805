"""Galleries: images in rows of ten, each under its title, as PNG files.

Pillow writes the words, whose pixels its own FreeType makes with whole numbers: the same bytes on
any machine, and in a third of the time that matplotlib takes to lay out as many texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digits.files import replacing

COLUMNS = 10
TILE, TITLE, GAP, HEADING = 114, 52, 16, 36  # pixels
FRAME = 191  # grey of the line round an image, 0 to 255
FONT = "fonts/ttf/DejaVuSans.ttf"  # among matplotlib's own
TITLE_SIZE, HEADING_SIZE = 13, 19  # pixels


@dataclass(frozen=True)
class Tile:
    """An image of a gallery and the words above it.

    Attributes:
        image: shape (side, side), from 0, drawn white, to 255, drawn black.
        title: one or two short lines.
        colour: of the title.
    """

    image: NDArray[np.uint8]
    title: str
    colour: str = "black"


def draw_gallery(path: Path, title: str, tiles: Sequence[Tile]) -> None:
    """Draw images in rows of ten, each under its title; without any, the gallery's title alone.

    An image is enlarged by a whole factor, so that each of its pixels is a square of one grey.
    """
    font = _font(TITLE_SIZE)
    scale, width, height = _lay_out(tiles, font)
    rows = ceil(len(tiles) / COLUMNS)
    size = COLUMNS * width + GAP, rows * height + HEADING + GAP
    gallery = Image.new("RGB", size, "white")
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


def _lay_out(tiles: Sequence[Tile], font: ImageFont.FreeTypeFont) -> tuple[int, int, int]:
    """Return the factor that enlarges images, and width and height of the place of each."""
    side = max((len(tile.image) for tile in tiles), default=TILE)
    scale = max(1, TILE // side)
    lines = (line for tile in tiles for line in tile.title.splitlines())
    widest = ceil(max(map(font.getlength, lines), default=0))
    size = max(TILE, side * scale)
    return scale, max(size, widest) + GAP, size + TITLE


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return a font whose layout is Pillow's own, whatever libraries a machine has."""
    path = Path(mpl.get_data_path()) / FONT
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _enlarge(image: NDArray[np.uint8], scale: int) -> Image.Image:
    """Return an image black on white, each pixel `scale` wide and high, in a frame."""
    enlarged = (255 - image).repeat(scale, axis=0).repeat(scale, axis=1)
    return Image.fromarray(np.pad(enlarged, 1, constant_values=FRAME))
