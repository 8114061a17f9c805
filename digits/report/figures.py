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
from matplotlib.ticker import MaxNLocator
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
    """Draw the matrix, rows predicted and columns actual, as a heat map with its counts.

    The colours are of the errors alone: right ones are so many that every error would look white.

    Args:
        path: of the picture.
        confusion: counts, shape (classes, classes).
        title: above the matrix.
        names: of the classes.
    """
    classes = len(confusion)
    errors = confusion * (1 - np.eye(classes, dtype=np.int64))
    size = min(max(550, 62 * classes + 120), 2000)
    with saved_figure(path, size, size) as figure:
        axes = figure.subplots()
        axes.imshow(errors, cmap="Reds", vmin=0, vmax=max(1, int(errors.max())))
        if classes <= MOST_COUNTS:
            for (row, column), count in np.ndenumerate(confusion):
                _write_count(axes, int(row), int(column), int(count), int(errors.max()))
            upright = max(map(len, names)) <= 3
            rotation = 0 if upright else 90
            axes.set_xticks(range(classes), names, rotation=rotation, parse_math=False)
            axes.set_yticks(range(classes), names, parse_math=False)
        axes.xaxis.set_label_position("top")
        axes.xaxis.tick_top()
        axes.set_xlabel("actual")
        axes.set_ylabel("predicted")
        axes.set_title(title, pad=12)


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
    with saved_figure(path, 1000, 400) as figure:
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
