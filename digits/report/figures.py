"""Figures as PNG files, the same bytes wherever the same libraries draw them.

matplotlib draws with its own defaults, whatever the user's settings are. Galleries, of images in
rows of ten, are Pillow's: its own FreeType makes words with whole numbers, the same on any machine,
in a third of the time that matplotlib takes to lay out as many.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digits.evaluation.measures import Predictions
from digits.files import replacing

RIGHT, WRONG = "#1a7f37", "#b3261e"
DPI = 100
MOST_COUNTS = 30  # classes beyond which the counts of a confusion matrix would be too small to read
COLUMNS = 10  # of a gallery
TILE, TITLE, GAP, HEADING = 114, 52, 16, 36  # pixels
TITLE_SIZE, HEADING_SIZE = 13, 19  # pixels
FRAME = 191  # grey of the line round an image, 0 to 255


@contextmanager
def saved_figure(path: Path, width: int, height: int) -> Iterator[Figure]:
    """Yield a figure of `width` x `height` pixels, and save it to `path` at the end."""
    with mpl.rc_context():
        mpl.rcdefaults()
        figure = Figure((width / DPI, height / DPI), DPI, layout="constrained")
        yield figure
        with replacing(path) as temporary:
            # No software tag: a new version of matplotlib alone is no other picture.
            figure.savefig(temporary, format="png", metadata={"Software": None})


def draw_digit(path: Path, image: NDArray[np.uint8], title: str) -> None:
    """Draw one image, shape (side, side), large, its pixels numbered, under its title."""
    with saved_figure(path, 400, 440) as figure:
        axes = figure.subplots()
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(title, fontsize=16, parse_math=False)


def draw_confusion(
    path: Path, confusion: NDArray[np.int64], title: str, names: Sequence[str]
) -> None:
    """Draw a matrix, rows predicted and columns actual, as a heat map with its counts.

    The colours are of the errors alone: right ones are so many that every error would look white.
    """
    classes = len(confusion)
    errors = confusion * (1 - np.eye(classes, dtype=np.int64))
    size = min(max(550, 62 * classes + 120), 2000)
    with saved_figure(path, size, size) as figure:
        axes = figure.subplots()
        axes.imshow(errors, cmap="Reds", vmin=0, vmax=max(1, int(errors.max())))
        if classes <= MOST_COUNTS:
            _write_counts(axes, confusion, int(errors.max()))
            rotation = 0 if max(map(len, names)) <= 3 else 90
            axes.set_xticks(range(classes), names, rotation=rotation, parse_math=False)
            axes.set_yticks(range(classes), names, parse_math=False)
        axes.xaxis.set_label_position("top")
        axes.xaxis.tick_top()
        axes.set_xlabel("actual")
        axes.set_ylabel("predicted")
        axes.set_title(title, pad=12)


def _write_counts(axes: Axes, confusion: NDArray[np.int64], most: int) -> None:
    for (row, column), count in np.ndenumerate(confusion):
        colour, weight = "black", "normal"
        if row == column:
            colour, weight = RIGHT, "bold"
        elif count == 0:
            colour = "#bbbbbb"
        elif 2 * count > most:
            colour = "white"
        axes.text(column, row, str(count), ha="center", va="center", color=colour, weight=weight)


class Tile(NamedTuple):
    """An image, shape (side, side), from 0, drawn white, to 255, black, and one or two lines."""

    image: NDArray[np.uint8]
    title: str
    colour: str = "black"  # of the title


def galleries(
    predictions: Predictions,
    pictures: NDArray[np.uint8],
    names: Sequence[str],
    size: int,
) -> Iterator[tuple[str, str, list[Tile]]]:
    """Yield name, title and tiles of each gallery: samples, the misclassified, the hardest.

    Each shows at most `size` of the pictures, shape (rows, side, side).
    """
    spread = np.linspace(0, len(pictures) - 1, min(size, len(pictures))).astype(np.int64)
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
            first, second = np.argsort(-shares, kind="stable")[:2]
            told, truth = f"predicted {names[first]}", f"\nactual {names[actual]}"
            if name == "hard":
                told = ", ".join(f"{names[code]}: {shares[code]:.0%}" for code in (first, second))
            elif first == actual:
                truth = ""
            colour = RIGHT if first == actual else WRONG
            tiles.append(Tile(pictures[row], told + truth, colour))
        yield name, title, tiles


def draw_gallery(path: Path, title: str, tiles: Sequence[Tile]) -> None:
    """Draw images in rows of ten, each under its title; without any, the gallery's title alone.

    An image is enlarged by a whole factor, so that each of its pixels is a square of one grey.
    """
    path_of_font = Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    # Pillow's own layout, whatever libraries a machine has.
    font = ImageFont.truetype(path_of_font, TITLE_SIZE, layout_engine=ImageFont.Layout.BASIC)
    side = max((len(tile.image) for tile in tiles), default=TILE)
    scale = max(1, TILE // side)
    lines = (line for tile in tiles for line in tile.title.splitlines())
    widest = ceil(max(map(font.getlength, lines), default=0))
    width, height = max(TILE, side, widest) + GAP, max(TILE, side) + TITLE
    rows = ceil(len(tiles) / COLUMNS)
    gallery = Image.new("RGB", (COLUMNS * width + GAP, rows * height + HEADING + GAP), "white")
    draw = ImageDraw.Draw(gallery)
    draw.text((GAP, HEADING // 3), title, "black", font.font_variant(size=HEADING_SIZE))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        enlarged = np.kron(255 - tile.image, np.ones((scale, scale), np.uint8))
        picture = Image.fromarray(np.pad(enlarged, 1, constant_values=FRAME))
        left = GAP + column * width + (width - GAP - picture.width) // 2
        bottom = HEADING + (row + 1) * height
        gallery.paste(picture, (left, bottom - picture.height))
        above = left + picture.width // 2, bottom - picture.height - 4
        draw.text(above, tile.title, tile.colour, font, anchor="md", align="center")
    with replacing(path) as temporary:
        gallery.save(temporary, format="png")
