"""prepare: CSV to normalised tensors, split into training, validation and test.

Reads the CSV files that `data.train` and `data.test` name; writes data/prepared/. Memory is bounded
by a block of pixels, plus a label or an id, and a digest, of each row.
"""

import sys
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import encode, save_classes, sort_classes
from digits.data.csv_files import write_table
from digits.data.image_table import ImageTable
from digits.data.split import stratified_split
from digits.data.submission import count_ids
from digits.data.tensors import PREPARED, Statistics, measure, write_images
from digits.errors import InputError, expecting
from digits.files import replacing_directory, write_json
from digits.params import Prepare, check_names, load_params

BLOCK_BYTES = 2**20  # of pixels
Digests = NDArray[np.uint64]


def open_tables(train: Path, test: Path) -> tuple[ImageTable, ImageTable]:
    """Find the columns of both files; images are of one size, and named pixels in one order."""
    tables = ImageTable(train, labelled=True), ImageTable(test, labelled=False)
    known, given = ([one.columns.names[k] for k in one.columns.pixels] for one in tables)
    if len(given) != len(known) or (given != known and sorted(given) == sorted(known)):
        raise InputError(
            f"{test}: row 1: {len(given)} pixel columns; expected the {len(known)} of {train}, "
            "in their order"
        )
    return tables


def copy_pixels(
    table: ImageTable, raw: Path, kind: Literal["labels", "ids"]
) -> tuple["pd.Series[str]", Digests]:
    """Write all pixels, one byte each, to `raw`; return labels or ids, and digests, shape (rows,).

    Labels and ids are indexed by their row in the table's file.
    """
    # A list of small arrays would keep what is between them from being used again.
    texts: list[str] = []
    digests = bytearray()
    with raw.open("wb") as file:
        for images in table.read():
            texts += getattr(images, kind).tolist()
            for image in images.pixels:
                digests += blake2b(image, digest_size=8).digest()
            file.write(images.pixels.data)
    rows = pd.RangeIndex(len(texts)) + table.columns.first_row
    return pd.Series(texts, rows, str), np.frombuffer(digests, np.uint64)


def read_pixels(raw: Path, pixels: int) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """Yield blocks of what `copy_pixels` wrote, shape (n, pixels), and which rows they are."""
    count = max(1, BLOCK_BYTES // pixels)
    for start in range(0, raw.stat().st_size // pixels, count):
        block = np.fromfile(raw, np.uint8, count * pixels, offset=start * pixels)
        yield slice(start, start + count), block.reshape(-1, pixels)


def find_classes(table: ImageTable, labels: "pd.Series[str]") -> tuple[str, ...]:
    """Return the labels that there are, in order, if they can be classes, of two rows at least."""
    codes, found = pd.factorize(labels)
    column = table.columns.label or 0
    table.refuse(column, len(found) < 2, labels, "two classes or more")
    table.refuse(column, np.bincount(codes)[codes] < 2, labels, "two rows of each class")
    with expecting(table.path, "other labels", ValueError):
        check_names(list(found))
    return sort_classes(found)


def choose_validation(
    train: Path, params: Prepare, labels: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.bool_]:
    """Return True for the validation rows, shape (rows,); every class keeps a training row."""
    given = params.validation
    count = given if isinstance(given, int) else round(given * len(labels))
    where = f"params.yaml: prepare.validation = {given}: {count} of the {len(labels)} rows"
    if not 1 <= count < len(labels):
        raise InputError(f"{where} in {train}; expected from 1 to {len(labels) - 1}")
    chosen = stratified_split(labels, count, params.seed)
    for code in np.setdiff1d(labels, labels[~chosen])[:1]:
        raise InputError(
            f"{where} leave none of class {classes[code]!r} to train on; expected fewer"
        )
    return chosen


def write_part(folder: Path, raw: Path, chosen: NDArray[np.bool_], statistics: Statistics) -> None:
    """Write the chosen rows of `raw`, normalised, to a new folder."""
    folder.mkdir()
    shape = int(chosen.sum()), statistics.pixels
    blocks = read_pixels(raw, statistics.pixels)
    normalised = (statistics.normalise(block[chosen[rows]]) for rows, block in blocks)
    write_images(folder / "images.npy", shape, normalised)


def write_labelled(
    directory: Path, table: ImageTable, params: Prepare
) -> tuple[Statistics, Digests, Digests]:
    """Write all that comes of labelled images; return digests of those to train on, and others."""
    raw, pixels = directory / "pixels.raw", len(table.columns.pixels)
    texts, digests = copy_pixels(table, raw, "labels")
    classes = find_classes(table, texts)
    labels = encode(texts, classes)
    validation = choose_validation(table.path, params, labels, classes)
    mean, std = measure(block[~validation[rows]] for rows, block in read_pixels(raw, pixels))
    if std == 0:
        raise InputError(f"{table.path}: all training pixels are equal; expected images")
    statistics = Statistics(mean=mean, std=std, pixels=pixels)
    for name, chosen in (("train", ~validation), ("validation", validation)):
        write_part(directory / name, raw, chosen, statistics)
        np.save(directory / name / "labels.npy", labels[chosen])
        np.save(directory / name / "rows.npy", texts.index[chosen])
    raw.unlink()
    save_classes(directory / "classes.json", classes)
    write_json(directory / "statistics.json", statistics.model_dump())
    return statistics, digests[~validation], digests[validation]


def write_test(directory: Path, table: ImageTable, statistics: Statistics) -> Digests:
    """Write the images to predict, and their ids; return their digests."""
    raw, column = directory / "pixels.raw", table.columns.id
    ids, digests = copy_pixels(table, raw, "ids")
    write_part(directory / "test", raw, np.ones(len(digests), np.bool_), statistics)
    raw.unlink()
    if column is None:
        ids = count_ids(len(digests))
    else:
        ids = ids.rename(table.columns.names[column])
        table.refuse(column, ids.duplicated(), ids, "ids that differ")
    write_table(directory / "ids.csv", ids.to_frame())
    return digests


def count_copies(training: Digests, validation: Digests, test: Digests) -> dict[str, int]:
    """Count the rows that have the pixels of one to train on: all labelled ones, for test rows.

    A count is wrong with a probability of at most the pairs of rows / 2**64, 1e-10 for MNIST.
    """
    within = np.isin(validation, training)
    across = np.isin(test, np.concatenate([training, validation]))
    return {"validation_in_training": int(within.sum()), "test_in_labelled": int(across.sum())}


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    train, test = open_tables(Path(params.data.train), Path(params.data.test))
    with replacing_directory(PREPARED) as directory:
        statistics, *labelled = write_labelled(directory, train, params.prepare)
        digests = *labelled, write_test(directory, test, statistics)
        rows = dict(zip(("training", "validation", "test"), map(len, digests), strict=True))
        copies = count_copies(*digests)
        write_json(directory / "counts.json", {"rows": rows, "copies": copies})
    if any(copies.values()):
        print(
            f"warning: {train.path}: {copies['validation_in_training']:,} validation rows are "
            f"training rows as well, and {copies['test_in_labelled']:,} rows of {test.path} are "
            "in it; expected none: the scores are too good",
            file=sys.stderr,
        )
    files = [f"{one.path}{' (pixels from 0 to 1)' * one.scaled}" for one in (train, test)]
    counts = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    return f"read {' and '.join(files)}; wrote {PREPARED}: {counts} images"
