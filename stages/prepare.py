"""prepare: CSV to normalised tensors, split into training, validation and test.

    python -m stages prepare

Reads the CSV files that `data.train` and `data.test` name; writes data/prepared/, and to
metrics/prepare.json how many rows there are, and how many stand on both sides. Memory is bounded by
a block of pixels, plus a label and a digest of each row.
"""

import sys
from collections.abc import Iterator
from hashlib import blake2b
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import InputError
from digits.files import replacing_directory, write_json
from digits.kaggle import count_pixels, read_labelled, read_pixels
from digits.params import Data, Prepare, load_params
from digits.split import stratified_split, validation_rows
from digits.tables import BLOCK_CELLS
from digits.tensors import PREPARED, RowWriter, Statistics

METRICS = Path("metrics/prepare.json")
Digests = NDArray[np.uint64]


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


def digest(images: NDArray[np.uint8]) -> Digests:
    """Return 64 bits of BLAKE2b of the pixels of each image, shape (rows,)."""
    joined = b"".join(blake2b(image, digest_size=8).digest() for image in images)
    return np.frombuffer(joined, np.uint64)


def copy_pixels(data: Data, raw: Path) -> NDArray[np.int64]:
    """Write the labelled pixels, one byte each, to `raw`; return the labels, shape (rows,)."""
    blocks = []
    with raw.open("wb") as file:
        for labels, images in read_labelled(Path(data.train), data.classes):
            file.write(images.tobytes())
            blocks.append(labels)
    return np.concatenate(blocks)


def read_blocks(raw: Path, rows: int, pixels: int) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """Yield blocks of what `copy_pixels` wrote, shape (n, pixels), and which rows they are."""
    count = max(1, BLOCK_CELLS // pixels)
    with raw.open("rb") as file:
        for start in range(0, rows, count):
            block = np.fromfile(file, np.uint8, count * pixels).reshape(-1, pixels)
            yield slice(start, start + len(block)), block


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


def measure(data: Data, raw: Path, training: NDArray[np.bool_], pixels: int) -> Statistics:
    """Return mean and deviation of the pixels of the training rows, from exact integers."""
    counts = np.zeros(256, np.int64)
    for rows, block in read_blocks(raw, len(training), pixels):
        counts += np.bincount(block[training[rows]].ravel(), minlength=256)
    tally = list(enumerate(counts.tolist()))
    count = sum(times for _, times in tally)
    total = sum(value * times for value, times in tally)
    squares = sum(value * value * times for value, times in tally)
    variance = (count * squares - total * total) / (count * count)
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
    with writers[0] as to_train, writers[1] as to_validation:
        for rows, block in read_blocks(raw, len(labels), statistics.pixels):
            images, chosen = statistics.normalise(block), validation[rows]
            to_train.append(images[~chosen])
            to_validation.append(images[chosen])
    for name, of_part in zip(names, (~validation, validation), strict=True):
        for column, values in (("labels", labels[of_part]), ("places", np.flatnonzero(of_part))):
            with RowWriter(directory / name / f"{column}.npy", np.int64, ()) as writer:
                writer.append(values)


def write_test(directory: Path, data: Data, statistics: Statistics) -> Digests:
    """Write the normalised test images; return their digests, shape (rows,)."""
    digests = []
    with image_writer(directory / "test", statistics.pixels) as writer:
        for pixels in read_pixels(Path(data.test)):
            writer.append(statistics.normalise(pixels))
            digests.append(digest(pixels))
    return np.concatenate(digests)


def write_counts(data: Data, training: Digests, validation: Digests, test: Digests) -> None:
    """Write how many rows there are, and how many have the pixels of one to train on; warn of them.

    Test rows are looked for among all labelled ones, as `train.rows: all` trains on these. Digests
    make a count wrong with a probability of at most the pairs of rows / 2**64, 1e-10 for MNIST.
    """
    rows = {"training": len(training), "validation": len(validation), "test": len(test)}
    within = int(np.isin(validation, training).sum())
    across = int(np.isin(test, np.concatenate([training, validation])).sum())
    copies = {"validation_in_training": within, "test_in_labelled": across}
    write_json(METRICS, {"rows": rows, "copies": copies})
    if within or across:
        print(
            f"warning: {data.train}: {within:,} validation rows are training rows as well, and "
            f"{across:,} rows of {data.test} are in it; expected none: the scores are too good",
            file=sys.stderr,
        )


def image_writer(directory: Path, pixels: int) -> RowWriter:
    """Return a writer of images of `pixels` pixels to a new `directory`."""
    directory.mkdir()
    return RowWriter(directory / "images.npy", np.float32, (pixels,))


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    data = params.data
    pixels = check_widths(data)
    with replacing_directory(PREPARED) as directory:
        raw = directory / "pixels.raw"
        labels = copy_pixels(data, raw)
        validation = choose_validation(data, params.prepare, labels)
        statistics = measure(data, raw, ~validation, pixels)
        write_labelled(directory, raw, labels, validation, statistics)
        labelled = [digest(block) for _, block in read_blocks(raw, len(labels), pixels)]
        raw.unlink()
        test = write_test(directory, data, statistics)
        statistics.save(directory / "statistics.json")
    digests = np.concatenate(labelled)
    write_counts(data, digests[~validation], digests[validation], test)
    return (
        f"read {data.train} and {data.test}; wrote {PREPARED}: "
        f"{np.sum(~validation):,} training, {np.sum(validation):,} validation and {len(test):,} "
        f"test images of {statistics.side} x {statistics.side} pixels, whose mean was "
        f"{statistics.mean:.3f} and standard deviation {statistics.std:.3f}"
    )
