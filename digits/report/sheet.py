"""The images that the page shows: which ones, all in one picture, and what is said of each."""

from collections.abc import Mapping
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from digits.data.answers import digests
from digits.data.tensors import Statistics, map_array, map_labels, map_pixels
from digits.evaluation.measures import Predictions

MOST_PIXELS = 6_000_000  # of a page's validation images; MNIST's take a quarter of a byte each
HARDEST = 60  # images that are shown as hard to predict
MOST_SHARES = 10  # of an image's probabilities: the largest


class Part(NamedTuple):
    """The training or the validation rows: pictures, labels, and row indices in the CSV file."""

    pictures: NDArray[np.uint8]  # shape (rows, side, side)
    labels: NDArray[np.int64]  # shape (rows,)
    rows: NDArray[np.int64]  # shape (rows,), from 0


class Sheet(NamedTuple):
    """A PNG of images, side by side in a square, and what is said of them, by their places in it.

    Probabilities are in thousandths.
    """

    png: bytes
    images: list[tuple[int, int, int, list[list[int]]]]  # actual, predicted, row, probabilities
    hard: list[int]
    suspects: list[list[int | str]]  # place, given, suggested, row, part, both probabilities


def load_part(folder: Path, classes: int, statistics: Statistics) -> Part:
    """Map the rows that prepare wrote to a folder."""
    pixels, side = map_pixels(folder, statistics.pixels), statistics.side
    labels = map_labels(folder, classes, len(pixels))
    rows = map_array(folder / "rows.npy", np.int64, len(pixels))
    return Part(pixels.reshape(-1, side, side), labels, rows)


def locate(suspects: pd.DataFrame, parts: Mapping[str, Part]) -> pd.DataFrame:
    """Return the suspects whose label is still the given one, with their `place` and its `part`."""
    known, tables = set(suspects["sha256"]), []
    for name, part in parts.items():
        is_known = (digest in known for digest in digests(part.pictures))
        places = np.flatnonzero(np.fromiter(is_known, np.bool_, len(part.pictures)))
        digested = pd.Series(list(digests(part.pictures[places])), dtype=str)
        columns = {"place": places, "sha256": digested, "given": part.labels[places]}
        tables.append(pd.DataFrame(columns).assign(part=name))
    return suspects.merge(pd.concat(tables), on=["sha256", "given"])


def lay_out(parts: Mapping[str, Part], answers: Predictions, suspects: pd.DataFrame) -> Sheet:
    """Choose images of training and validation, as many as fit; `locate` found the suspects.

    First the misclassified of validation, the worst first, then its others, the hardest first, and
    then suspects that are not among these.
    """
    validation = parts["validation"]
    order = sort_rows(answers)[: MOST_PIXELS // validation.pictures[0].size]
    shown = list(validation.pictures[order])
    places = {row: place for place, row in enumerate(order.tolist())}
    hard = [places[row] for row in answers.hardest().tolist() if row in places][:HARDEST]
    listed = []
    for _, given, suggested, *shares, row, name in suspects.itertuples(index=False, name=None):
        place = places.get(row, len(shown)) if name == "validation" else len(shown)
        if place == len(shown):
            shown.append(parts[name].pictures[row])
        said = thousandths(np.array(shares)).tolist()
        listed.append([place, given, suggested, int(parts[name].rows[row]), name, *said])
    columns = (answers.actual, answers.predicted, validation.rows)
    numbers = (column[order].tolist() for column in columns)
    images = list(zip(*numbers, largest_shares(answers.probabilities[order]), strict=True))
    return Sheet(pack(np.stack(shown)), images, hard, listed)


def sort_rows(predictions: Predictions) -> NDArray[np.int64]:
    """Return all rows: the misclassified, worst first, and then the others, hardest first."""
    wrong, hardest = predictions.misclassified(), predictions.hardest()
    return np.concatenate([wrong, hardest[~np.isin(hardest, wrong)]])


def pack(pictures: NDArray[np.uint8]) -> bytes:
    """Return one PNG file with all pictures, shape (count, side, side), row by row in a square."""
    count, side, _ = pictures.shape
    across = max(ceil(sqrt(count)), 1)
    sheet = np.zeros((across * across, side, side), np.uint8)
    sheet[:count] = pictures
    tiled = sheet.reshape(across, across, side, side).swapaxes(1, 2).reshape(across * side, -1)
    file = BytesIO()
    Image.fromarray(tiled).save(file, format="png")
    return file.getvalue()


def thousandths(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return shares, from 0 to 1, in thousandths, rounded."""
    return np.rint(shares * 1000).astype(np.int64)


def largest_shares(shares: NDArray[np.float64]) -> list[list[list[int]]]:
    """Return class and thousandths of the largest shares of each row, in the order of classes."""
    classes = np.sort(np.argsort(-shares, axis=1, kind="stable")[:, :MOST_SHARES], axis=1)
    parts = thousandths(np.take_along_axis(shares, classes, axis=1))
    pairs: list[list[list[int]]] = np.stack([classes, parts], axis=2).tolist()
    return pairs
