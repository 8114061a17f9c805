"""prepare: CSV to normalised tensors, split into training, validation and test.

    python -m stages prepare

Reads the CSV files that `data.train` and `data.test` name; writes data/prepared/. Memory is bounded
by a block of pixels, plus a few numbers for each labelled row.
"""

from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import InputError
from digits.files import replacing_directory
from digits.kaggle import count_pixels, read_labelled, read_unlabelled
from digits.params import Data, Prepare, load_params
from digits.split import stratified_split, validation_rows
from digits.tables import BLOCK_CELLS
from digits.tensors import PREPARED, RowWriter, Statistics


def check_widths(data: Data) -> int:
    """Return the number of pixels of an image, the same in both files."""
    train = count_pixels(Path(data.train), labelled=True)
    test = count_pixels(Path(data.test), labelled=False)
    if train != test:
        raise InputError(
            f"{data.test}: row 1, column {test}: {test} pixel columns; "
            f"expected {train}, as in {data.train}"
        )
    return train


def copy_pixels(
    data: Data, raw: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Write the labelled pixels, one byte each, to `raw`.

    Returns:
        Of each row: the label, the sum of its pixels, and the sum of their squares, shape (rows,).
    """
    blocks = []
    with raw.open("wb") as file:
        for labels, images in read_labelled(Path(data.train), data.classes):
            file.write(images.tobytes())
            squares = np.square(images, dtype=np.int64)
            blocks.append((labels, images.sum(axis=1, dtype=np.int64), squares.sum(axis=1)))
    labels, sums, squares = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return labels, sums, squares


def choose_validation(data: Data, params: Prepare, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return True for the validation rows, shape (rows,); every class keeps a training row."""
    count = validation_rows(params.validation, len(labels))
    if not 1 <= count < len(labels):
        raise InputError(
            f"params.yaml: prepare.validation = {params.validation}: {count} of the {len(labels)} "
            f"rows in {data.train}; expected from 1 to {len(labels) - 1}"
        )
    chosen = stratified_split(labels, count, params.seed)
    missing = np.flatnonzero(np.bincount(labels[~chosen], minlength=data.classes) == 0)
    if missing.size:
        raise InputError(
            f"{data.train}: column 1 (label): no training row of class {missing[0]} beside "
            f"{count} validation rows; expected one of each class from 0 to {data.classes - 1}"
        )
    return chosen


def measure(
    data: Data, sums: NDArray[np.int64], squares: NDArray[np.int64], pixels: int
) -> Statistics:
    """Return mean and deviation of the pixels of rows with these sums, from exact integers."""
    count = len(sums) * pixels
    total, total_squares = sum(sums.tolist()), sum(squares.tolist())
    variance = (count * total_squares - total * total) / (count * count)
    if variance == 0:
        raise InputError(f"{data.train}: all training pixels are equal; expected images")
    return Statistics(mean=total / count, std=sqrt(variance), pixels=pixels)


def write_labelled(
    directory: Path,
    raw: Path,
    labels: NDArray[np.int64],
    validation: NDArray[np.bool_],
    statistics: Statistics,
) -> None:
    """Deal the rows in `raw`, normalised, to train/ and validation/, in the order of the CSV."""
    names = ("train", "validation")
    writers = [image_writer(directory / name, statistics.pixels) for name in names]
    with raw.open("rb") as file, writers[0] as to_train, writers[1] as to_validation:
        block = max(1, BLOCK_CELLS // statistics.pixels)
        for start in range(0, len(labels), block):
            pixels = np.fromfile(file, np.uint8, block * statistics.pixels)
            images = statistics.normalise(pixels.reshape(-1, statistics.pixels))
            chosen = validation[start : start + block]
            to_train.append(images[~chosen])
            to_validation.append(images[chosen])
    for name, rows in zip(names, (~validation, validation), strict=True):
        with RowWriter(directory / name / "labels.npy", np.int64, ()) as writer:
            writer.append(labels[rows])


def write_test(directory: Path, data: Data, statistics: Statistics) -> int:
    """Write the normalised test images; return how many there are."""
    rows = 0
    with image_writer(directory / "test", statistics.pixels) as writer:
        for pixels in read_unlabelled(Path(data.test)):
            writer.append(statistics.normalise(pixels))
            rows += len(pixels)
    return rows


def image_writer(directory: Path, pixels: int) -> RowWriter:
    """Return a writer of images of `pixels` pixels to a new `directory`."""
    directory.mkdir()
    return RowWriter(directory / "images.npy", np.float32, (pixels,))


def main() -> None:
    """Run the stage."""
    params = load_params()
    pixels = check_widths(params.data)
    with replacing_directory(PREPARED) as directory:
        raw = directory / "pixels.raw"
        labels, sums, squares = copy_pixels(params.data, raw)
        validation = choose_validation(params.data, params.prepare, labels)
        statistics = measure(params.data, sums[~validation], squares[~validation], pixels)
        write_labelled(directory, raw, labels, validation, statistics)
        raw.unlink()
        test_rows = write_test(directory, params.data, statistics)
        statistics.save(directory / "statistics.json")
    print(
        f"prepare: {np.sum(~validation):,} training, {np.sum(validation):,} validation and "
        f"{test_rows:,} test images of {statistics.side} x {statistics.side} pixels; "
        f"mean {statistics.mean:.3f}, standard deviation {statistics.std:.3f}"
    )
