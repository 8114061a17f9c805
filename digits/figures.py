"""Figures as PNG files, the same bytes wherever the same matplotlib draws them.

Every figure is drawn with matplotlib's own defaults, whatever the user's settings are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray

from digits.files import replacing

RIGHT, WRONG = "#1a7f37", "#b3261e"
DPI = 100
COLUMNS = 10
TILE, TITLE, GAP, HEADING = 114, 52, 16, 36  # pixels of a gallery
FRAME = 64  # grey of the line round an image, 0 to 255
MOST_COUNTS = 30  # classes beyond which the counts of a confusion matrix would be too small to read

Layout = Literal["constrained"] | None


@dataclass(frozen=True)
class Tile:
    """An image of a gallery and the words above it.

    Attributes:
        image: shape (side, side), from 0 to 255.
        title: one or two short lines.
        colour: of the title.
    """

    image: NDArray[np.uint8]
    title: str
    colour: str = "black"


@contextmanager
def _figure(path: Path, width: int, height: int, layout: Layout = None) -> Iterator[Figure]:
    """Yield a figure of `width` x `height` pixels, and save it to `path` at the end."""
    with mpl.rc_context():
        mpl.rcdefaults()
        figure = Figure((width / DPI, height / DPI), DPI, layout=layout)
        yield figure
        with replacing(path) as temporary:
            # No software tag: a new version of matplotlib alone is no other picture.
            figure.savefig(temporary, format="png", metadata={"Software": None})


def draw_digit(path: Path, image: NDArray[np.uint8], title: str) -> None:
    """Draw one image, shape (side, side), large, its pixels numbered, under its title."""
    with _figure(path, 400, 440, "constrained") as figure:
        axes = figure.subplots()
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(title, fontsize=16)


def draw_gallery(path: Path, title: str, tiles: Sequence[Tile]) -> None:
    """Draw images in rows of ten, each under its title; without any, the gallery's title alone.

    An image is enlarged by a whole factor, so that each of its pixels is a square of one grey.
    """
    side = max((len(tile.image) for tile in tiles), default=TILE)
    scale = max(1, TILE // side)
    width, height = max(TILE, side * scale) + GAP, max(TILE, side * scale) + TITLE
    total = ceil(len(tiles) / COLUMNS) * height + HEADING + GAP
    with _figure(path, COLUMNS * width + GAP, total) as figure:
        figure.text(GAP, total - GAP, title, fontsize=14, va="top", transform=IdentityTransform())
        for number, tile in enumerate(tiles):
            left = GAP + number % COLUMNS * width
            bottom = total - HEADING - (number // COLUMNS + 1) * height
            _place(figure, tile, left, bottom, scale)


def _place(figure: Figure, tile: Tile, left: int, bottom: int, scale: int) -> None:
    """Draw a tile whose image has its lower left corner at that pixel of the figure."""
    enlarged = tile.image.repeat(scale, axis=0).repeat(scale, axis=1)
    enlarged = np.pad(enlarged, 1, constant_values=FRAME)
    figure.figimage(enlarged, left, bottom, cmap="gray_r", vmin=0, vmax=255)
    middle, top = left + len(enlarged) / 2, bottom + len(enlarged) + 4
    figure.text(
        middle,
        top,
        tile.title,
        color=tile.colour,
        fontsize=9,
        ha="center",
        va="bottom",
        transform=IdentityTransform(),
    )


def draw_confusion(path: Path, confusion: NDArray[np.int64]) -> None:
    """Draw the matrix, rows predicted and columns actual, as a heat map with its counts.

    The colours are of the errors alone: right ones are so many that every error would look white.
    """
    classes = len(confusion)
    errors = confusion * (1 - np.eye(classes, dtype=np.int64))
    size = min(max(550, 62 * classes + 120), 2000)
    with _figure(path, size, size, "constrained") as figure:
        axes = figure.subplots()
        axes.imshow(errors, cmap="Reds", vmin=0, vmax=max(1, int(errors.max())))
        if classes <= MOST_COUNTS:
            for (row, column), count in np.ndenumerate(confusion):
                _write_count(axes, int(row), int(column), int(count), int(errors.max()))
            axes.set_xticks(range(classes))
            axes.set_yticks(range(classes))
        axes.xaxis.set_label_position("top")
        axes.xaxis.tick_top()
        axes.set_xlabel("actual")
        axes.set_ylabel("predicted")
        wrong, total = int(errors.sum()), int(confusion.sum())
        axes.set_title(f"{wrong:,} of {total:,} validation images misclassified", pad=12)


def _write_count(axes: Axes, row: int, column: int, count: int, most: int) -> None:
    colour, weight = "black", "normal"
    if row == column:
        colour, weight = RIGHT, "bold"
    elif count == 0:
        colour = "#bbbbbb"
    elif 2 * count > most:
        colour = "white"
    axes.text(column, row, str(count), ha="center", va="center", color=colour, weight=weight)


def draw_curves(
    path: Path,
    training_loss: Sequence[float],
    validation_loss: Sequence[float],
    validation_accuracy: Sequence[float],
) -> None:
    """Draw the losses, and the accuracy beside them, by epoch counted from 1."""
    epochs = range(1, len(training_loss) + 1)
    with _figure(path, 1000, 400, "constrained") as figure:
        losses, accuracies = figure.subplots(1, 2)
        losses.plot(epochs, training_loss, marker="o", label="training (as minimised)")
        losses.plot(
            epochs, validation_loss, marker="o", label="validation (negative log-likelihood)"
        )
        losses.set_ylabel("loss (nats)")
        losses.set_ylim(bottom=0)
        losses.legend()
        accuracies.plot(epochs, validation_accuracy, marker="o", color="C1")
        accuracies.set_ylabel("validation accuracy")
        for axes in (losses, accuracies):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
