"""Figures as PNG files, the same bytes wherever the same libraries draw them.

matplotlib draws with its own defaults, whatever the user's settings are, and in its own font, but
for characters that this lacks (`find_fonts`). Galleries, of images in rows of ten, are put together
by Pillow, in a tenth of the time that matplotlib takes to lay out as many words.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, findSystemFonts, fontManager, get_font
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digits.errors import shorten
from digits.evaluation.measures import Predictions
from digits.files import replacing

FONT = "DejaVu Sans"
Fonts = Sequence[str]  # families that have what that lacks
RIGHT, WRONG = "#1a7f37", "#b3261e"
DPI = 100
MOST_COUNTS = 30  # classes beyond which the counts of a confusion matrix would be too small to read
COLUMNS = 10  # of a gallery
TILE, GAP, HEADING = 114, 16, 36  # pixels
TITLE_SIZE, LINE, HEADING_SIZE = 13, 16, 19  # pixels
FRAME = 191  # grey of the line round an image, 0 to 255


def find_fonts(names: Sequence[str]) -> Fonts:
    """Return families of this machine's fonts for the characters of names that DejaVu Sans lacks.

    A line on standard error tells of those that none has.
    """
    lacking = set(map(ord, "".join(names))) - FT2Font(findfont(FONT)).get_charmap().keys()
    families = []
    # Not the list that matplotlib keeps, which may be older than a font is.
    paths = findSystemFonts() if lacking else []
    for path in sorted(paths, key=lambda path: ("Regular" not in path, path)):
        with suppress(OSError, RuntimeError):  # no font, or one of bitmaps
            font = FT2Font(path)
            if known := lacking & font.get_charmap().keys():
                fontManager.addfont(path)
                families.append(font.family_name)
                lacking -= known
    if lacking:
        told = f"warning: no font here has {shorten(''.join(map(chr, sorted(lacking))))}"
        hint = "pictures have boxes in their place; apt has fonts-noto-core and fonts-noto-cjk, say"
        print(f"{told}; {hint}", file=sys.stderr)
    return families


@contextmanager
def _settings(fonts: Fonts) -> Iterator[None]:
    """Have matplotlib's own settings, and fonts for what its own lacks."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams["font.family"] = [FONT, *fonts]
        warnings.filterwarnings("ignore", "Glyph")  # of what find_fonts has told
        yield


@contextmanager
def saved_figure(path: Path, width: int, height: int, fonts: Fonts = ()) -> Iterator[Figure]:
    """Yield a figure of `width` x `height` pixels, and save it to `path` at the end."""
    with _settings(fonts):
        figure = Figure((width / DPI, height / DPI), DPI, layout="constrained")
        yield figure
        with replacing(path) as temporary:
            # No software tag: a new version of matplotlib alone is no other picture.
            figure.savefig(temporary, format="png", metadata={"Software": None})


def draw_digit(path: Path, image: NDArray[np.uint8], title: str, fonts: Fonts = ()) -> None:
    """Draw one image, shape (side, side), large, its pixels numbered, under its title."""
    with saved_figure(path, 400, 440, fonts) as figure:
        axes = figure.subplots()
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(title, fontsize=16, parse_math=False)


def draw_confusion(
    path: Path, confusion: NDArray[np.int64], title: str, names: Sequence[str], fonts: Fonts = ()
) -> None:
    """Draw a matrix, rows actual and columns predicted, as a heat map with its counts.

    The colours are of the errors alone: right ones are so many that every error would look white.
    """
    classes = len(confusion)
    errors = confusion * (1 - np.eye(classes, dtype=np.int64))
    size = min(max(550, 62 * classes + 120), 2000)
    with saved_figure(path, size, size, fonts) as figure:
        axes = figure.subplots()
        axes.imshow(errors, cmap="Reds", vmin=0, vmax=max(1, int(errors.max())))
        if classes <= MOST_COUNTS:
            _write_counts(axes, confusion, int(errors.max()))
            rotation = 0 if max(map(len, names)) <= 3 else 90
            axes.set_xticks(range(classes), names, rotation=rotation, parse_math=False)
            axes.set_yticks(range(classes), names, parse_math=False)
        axes.xaxis.set_label_position("top")
        axes.xaxis.tick_top()
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")
        axes.set_title(title, pad=12)


def _write_counts(axes: Axes, confusion: NDArray[np.int64], most: int) -> None:
    own: dict[str, Any] = {"ha": "center", "va": "center", "family": FONT}  # which has bold ones
    for (row, column), count in np.ndenumerate(confusion):
        colour, weight = "black", "normal"
        if row == column:
            colour, weight = RIGHT, "bold"
        elif count == 0:
            colour = "#bbbbbb"
        elif 2 * count > most:
            colour = "white"
        axes.text(column, row, str(count), color=colour, weight=weight, **own)


class Tile(NamedTuple):
    """An image, shape (side, side), from 0, drawn white, to 255, black, and its lines."""

    image: NDArray[np.uint8]
    title: str
    colour: str = "black"  # of the title


def galleries(
    predictions: Predictions,
    pictures: NDArray[np.uint8],
    rows: NDArray[np.int64],
    names: Sequence[str],
    size: int,
) -> Iterator[tuple[str, str, list[Tile]]]:
    """Yield name, title and tiles of each gallery: samples, the misclassified, the hardest.

    Each shows at most `size` of the pictures, shape (rows, side, side), and says which of `rows` of
    the labelled CSV file, from 0, each is.
    """
    apart = [f"\u2068{name}\u2069" for name in names]  # Arabic turns no other words round
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
                told = ", ".join(f"{apart[code]}: {shares[code]:.0%}" for code in (first, second))
            elif first == actual:
                truth = ""
            told += f"{truth}\nrow index {rows[row]}"
            tiles.append(Tile(pictures[row], told, RIGHT if first == actual else WRONG))
        yield name, title, tiles


def draw_gallery(path: Path, title: str, tiles: Sequence[Tile], fonts: Fonts = ()) -> None:
    """Draw images in rows of ten, each under its title; without any, the gallery's title alone.

    An image is enlarged by a whole factor, so that each of its pixels is a square of one grey.
    """
    with _settings(fonts):
        heading = _letter(title, HEADING_SIZE)
        titles = [[_letter(line, TITLE_SIZE) for line in tile.title.splitlines()] for tile in tiles]
    side = max((len(tile.image) for tile in tiles), default=TILE)
    scale = max(1, TILE // side)
    widest = max((words.width for lines in titles for words in lines), default=0)
    above = LINE * (max(map(len, titles), default=0) + 1)
    width, height = max(TILE, side, widest) + GAP, max(TILE, side) + above
    size = COLUMNS * width + GAP, ceil(len(tiles) / COLUMNS) * height + HEADING + GAP
    gallery = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(gallery)
    draw.bitmap((GAP, HEADING - 4 - heading.height), heading, "black")
    for number, (tile, lines) in enumerate(zip(tiles, titles, strict=True)):
        row, column = divmod(number, COLUMNS)
        enlarged = np.kron(255 - tile.image, np.ones((scale, scale), np.uint8))
        picture = Image.fromarray(np.pad(enlarged, 1, constant_values=FRAME))
        middle, bottom = column * width + (width + GAP) // 2, HEADING + (row + 1) * height
        gallery.paste(picture, (middle - picture.width // 2, bottom - picture.height))
        for higher, words in enumerate(reversed(lines)):
            end = bottom - picture.height - 4 - higher * LINE
            draw.bitmap((middle - words.width // 2, end - words.height), words, tile.colour)
    with replacing(path) as temporary:
        gallery.save(temporary, format="png")


def _letter(line: str, size: int) -> Image.Image:
    """Draw a line, its letters of so many pixels, as a mask with room below for any of them."""
    font = get_font([findfont(family) for family in mpl.rcParams["font.family"]])
    font.set_size(size, dpi=72)
    font.set_text(line)
    font.draw_glyphs_to_bitmap()
    below = max(0, size // 4 - font.get_descent() // 64)
    return Image.fromarray(np.pad(np.asarray(font.get_image()), ((0, below), (0, 0))))
