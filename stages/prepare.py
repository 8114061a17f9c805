"""prepare: CSV to normalised tensors, split into training, validation and test.

Memory is bounded by a block of pixels, plus a class, an index and a digest of each row, of 8 bytes
each, and its id, if it brings one.
"""

import sys
from array import array
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import encode, save_classes, sort_classes
from digits.data.csv_files import writing_table
from digits.data.image_table import Images, ImageTable
from digits.data.split import Rows, split_rows
from digits.data.submission import count_ids
from digits.data.tensors import (
    BLOCK,
    DIGESTS,
    IMAGES,
    PREPARED,
    Statistics,
    digest_rows,
    write_blocks,
)
from digits.errors import InputError, expecting
from digits.files import replacing, write_json
from digits.params import Prepare, check_names, load_params

RAW = "pixels.raw"  # of one table, a byte each
Pixels = NDArray[np.uint8]  # shape (rows, pixels)
Labels = NDArray[np.int64]  # shape (rows,), the class of each
Digests = NDArray[np.uint64]


def open_tables(train: Path, test: Path) -> tuple[ImageTable, ImageTable]:
    """Find the columns of both files; images are of one size, and named pixels in one order."""
    tables = ImageTable(train, labelled=True), ImageTable(test, labelled=False)
    known, given = ([one.columns.names[k] for k in one.columns.pixels] for one in tables)
    if len(given) != len(known) or (given != known and sorted(given) == sorted(known)):
        expected = f"the {len(known)} of {train}, in their order"
        raise InputError(f"{test}: row 1: {len(given)} pixel columns; expected {expected}")
    return tables


def copy_pixels(table: ImageTable, raw: Path, keep: Callable[[Images], None]) -> Pixels:
    """Show each block to `keep`; write all pixels to `raw`, and map them."""
    with raw.open("wb") as file:
        for images in table.read():
            keep(images)
            file.write(images.pixels.data)
    return np.memmap(raw, np.uint8, "r").reshape(-1, len(table.columns.pixels))


def read_blocks(pixels: Pixels, rows: Rows) -> Iterator[Pixels]:
    """Yield those rows, in blocks."""
    return (pixels[block] for block in np.array_split(rows, len(rows) // BLOCK + 1))


def copy_labelled(table: ImageTable, raw: Path) -> tuple[tuple[str, ...], Labels, Pixels]:
    """Return the classes, and of each row its class; write all pixels to `raw`, and map them."""
    first, codes = dict[str, tuple[int, int]](), array("q")  # number and row of each label

    def keep(images: Images) -> None:
        for label, row in zip(images.labels, images.labels.index, strict=True):
            codes.append(first.setdefault(label, (len(first), row))[0])

    pixels, rows = copy_pixels(table, raw, keep), np.frombuffer(codes, np.int64)
    labels = pd.Series(list(first), [row for _, row in first.values()], str)
    classes = find_classes(table, labels, np.bincount(rows))
    return classes, encode(labels, classes)[rows], pixels


def find_classes(
    table: ImageTable, labels: "pd.Series[str]", counts: NDArray[np.int64]
) -> tuple[str, ...]:
    """Return labels, indexed by their first row, in order, if all can be classes, of two rows."""
    column = table.columns.label or 0
    table.refuse(column, len(labels) < 2, labels, "two classes or more")
    table.refuse(column, counts < 2, labels, "two rows of each class")
    with expecting(table.path, "other labels", ValueError):
        check_names(list(labels))
    return sort_classes(labels)


def write_part(folder: Path, pixels: Pixels, rows: Rows) -> Digests:
    """Write those rows, as they are, to a new folder; return their digests."""
    folder.mkdir()
    shape = len(rows), pixels.shape[1]
    write_blocks(folder / "pixels.npy", np.uint8, shape, read_blocks(pixels, rows))
    images = chain.from_iterable(read_blocks(pixels, rows))
    digests = (int.from_bytes(blake2b(image, digest_size=8).digest()) for image in images)
    return np.fromiter(digests, np.uint64, len(rows))


def write_images(
    directory: Path,
    pixels: Pixels,
    labels: NDArray[np.int64],
    statistics: Statistics,
    parts: Mapping[str, Rows],
) -> None:
    """Write the images of these rows, one part after the other, and the sum of their digests."""
    sums = {name: np.zeros(4, np.uint64) for name in parts}

    def normalised() -> Iterator[NDArray[np.float32]]:
        first = 0
        for name, rows in parts.items():
            for block in np.array_split(rows, len(rows) // BLOCK + 1):
                images = statistics.normalise(pixels[block])
                sums[name] += digest_rows(images, labels[block], first)
                first += len(block)
                yield images

    shape = sum(map(len, parts.values())), statistics.pixels
    write_blocks(directory / IMAGES.name, np.float32, shape, normalised())
    write_json(directory / DIGESTS.name, {name: one.tolist() for name, one in sums.items()})


def write_labelled(directory: Path, table: ImageTable, params: Prepare) -> list[Digests]:
    """Write all that comes of labelled images; return digests of training and validation."""
    classes, labels, pixels = copy_labelled(table, directory / RAW)
    training, validation = split_rows(table.path, params, labels, classes)
    with expecting(table.path, "images", ValueError):
        fitted = read_blocks(pixels, training)
        statistics = Statistics.measure(fitted, straightened=params.straighten)
    parts = {"training": training, "validation": validation}
    write_images(directory, pixels, labels, statistics, parts)
    digests = []
    for name, rows in (("train", training), ("validation", validation)):
        digests.append(write_part(directory / name, pixels, rows))
        np.save(directory / name / "labels.npy", labels[rows])
        np.save(directory / name / "rows.npy", rows)
    save_classes(directory / "classes.json", classes)
    write_json(directory / "statistics.json", statistics.model_dump())
    return digests


def write_test(directory: Path, table: ImageTable) -> Digests:
    """Write the images to predict, and their ids; return their digests."""
    texts, column = list[str](), table.columns.id  # of images that bring none, none are kept
    pixels = copy_pixels(table, directory / RAW, lambda images: texts.extend(images.ids))
    ids = pd.Series(texts, pd.RangeIndex(len(texts)) + table.columns.first_row, str)
    table.refuse(column or 0, ids.duplicated(), ids, "ids that differ")
    own = count_ids(len(pixels)) if column is None else [ids.rename(table.columns.names[column])]
    with writing_table(directory / "ids.csv") as write:
        for block in own:
            write(block.to_frame())
    return write_part(directory / "test", pixels, np.arange(len(pixels)))


def count_copies(training: Digests, validation: Digests, test: Digests) -> dict[str, int]:
    """Count the rows that have the pixels of one to train on: all labelled ones, for test rows.

    A count is wrong with a probability of at most the pairs of rows / 2**64, 1e-10 for MNIST.
    """
    for known in (training, validation):
        known.sort()  # in place: np.isin copies them five times
    within, across = are_in(training, validation), are_in(training, test) | are_in(validation, test)
    return {"validation_in_training": int(within.sum()), "test_in_labelled": int(across.sum())}


def are_in(known: Digests, rows: Digests) -> NDArray[np.bool_]:
    """Return whether digests are among those that are known, and sorted."""
    places = np.searchsorted(known, rows)
    found: NDArray[np.bool_] = known[np.minimum(places, len(known) - 1)] == rows
    return found


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    train, test = open_tables(Path(params.data.train), Path(params.data.test))
    with replacing(PREPARED) as directory:
        directory.mkdir()
        digests = write_labelled(directory, train, params.prepare)
        digests.append(write_test(directory, test))
        (directory / RAW).unlink()
        rows = dict(zip(("training", "validation", "test"), map(len, digests), strict=True))
        copies = count_copies(*digests)
        lines = {"labelled": train.columns.first_row, "test": test.columns.first_row}
        counted = {"rows": rows, "copies": copies, "first_line": lines}
        write_json(directory / "counts.json", counted)
    within, across = copies.values()
    if within or across:
        told = f"{within:,} validation rows are training rows as well, and {across:,} rows of"
        reason = "expected none: the scores are too good"
        print(f"warning: {train.path}: {told} {test.path} are in it; {reason}", file=sys.stderr)
    files = [f"{one.path}{' (pixels from 0 to 1)' * one.scaled}" for one in (train, test)]
    counts = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    return f"read {' and '.join(files)}; wrote {PREPARED}: {counts} images"
