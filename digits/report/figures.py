"""Figures as PNG files, the same bytes wherever the same matplotlib draws them.

Every figure is drawn with matplotlib's own defaults, whatever the user's settings are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from digits.files import replacing

RIGHT, WRONG = "#1a7f37", "#b3261e"
DPI = 100
MOST_COUNTS = 30  # classes beyond which the counts of a confusion matrix would be too small to read


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
