"""prepare: CSV to normalised tensors, split into training, validation and test.

    python -m stages prepare

Reads the CSV files that `data.train` and `data.test` name; writes data/prepared/, and to
metrics/prepare.json how many rows there are, and how many stand on both sides. Memory is bounded by
a block of pixels, plus a label or an id, and a digest, of each row.
"""

import sys
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import MOST, encode, save_classes, sort_classes
from digits.data.csv_files import write_table
from digits.data.image_table import ImageTable
from digits.data.split import stratified_split, validation_rows
from digits.data.submission import COUNTED
from digits.data.tensors import PREPARED, RowWriter, Statistics
from digits.errors import InputError, shorten
from digits.files import replacing_directory, write_json
from digits.params import Prepare, check_names, load_params

METRICS = Path("metrics/prepare.json")
BLOCK_BYTES = 2**20  # of pixels
Digests = NDArray[np.uint64]


def open_tables(train: Path, test: Path) -> tuple[ImageTable, ImageTable]:
    """Find the columns of both files; images are of one size."""
    tables = ImageTable(train, labelled=True), ImageTable(test, labelled=False)
    expected, found = (len(table.columns.pixels) for table in tables)
    if found != expected:
        raise InputError(
            f"{test}: row 1: {found} pixel columns; expected {expected}, as in {train}"
        )
    known, given = (table.columns.pixel_names for table in tables)
    if given != known and sorted(given) == sorted(known):
        raise InputError(
            f"{test}: row 1: the pixels of {train} in another order; expected the same"
        )
    return tables


def digest(images: NDArray[np.uint8]) -> bytes:
    """Return 64 bits of BLAKE2b of the pixels of each image, one after the other."""
    return b"".join(blake2b(image, digest_size=8).digest() for image in images)


def copy_pixels(table: ImageTable, raw: Path) -> tuple[NDArray[np.int64], tuple[str, ...], Digests]:
    """Write the labelled pixels, one byte each, to `raw`.

    Returns:
        The class of each row, shape (rows,), the label of each class, and the digest of each row.
    """
    known: dict[str, int] = {}  # by the order in which they come
    # A list of small arrays would keep what is between them from being used again.
    codes, digests = bytearray(), bytearray()
    with raw.open("wb") as file:
        for images in table.read():
            check_labels(table, table.columns.first_row + len(digests) // 8, images.labels, known)
            codes += images.labels.map(known).to_numpy(np.int16).tobytes()
            digests += digest(images.pixels)
            file.write(images.pixels.data)
    classes = sort_classes(known)
    labels = encode(known, classes)[np.frombuffer(codes, np.int16)]
    check_rows(table, labels, classes)
    return labels, classes, np.frombuffer(digests, np.uint64)


def check_labels(
    table: ImageTable, row: int, labels: "pd.Series[str]", known: dict[str, int]
) -> None:
    """Number the labels of rows, the first of which is `row`, on from those that are known."""
    for place, label in enumerate(labels):
        if label in known:
            continue
        known[label] = len(known)
        try:
            check_names([label])
            if len(known) > MOST:
                raise ValueError(f"{shorten(label)}: expected at most {MOST} different labels")
        except ValueError as error:
            raise table.fault(row + place, table.columns.label or 0, str(error)) from None


def check_rows(table: ImageTable, codes: NDArray[np.int64], classes: Sequence[str]) -> None:
    """Check that there are classes to tell apart, and two rows of each."""
    rows = np.bincount(codes)
    if len(classes) < 2 or rows.min() == 1:
        rarest = int(rows.argmin())
        row = table.columns.first_row + int(np.flatnonzero(codes == rarest)[0])
        alone = "the only one" if len(classes) < 2 else "the only row of its class"
        expected = "expected two classes or more, and two rows of each"
        told = f"{classes[rarest]!r} is {alone}; {expected}"
        raise table.fault(row, table.columns.label or 0, told)


def read_blocks(raw: Path, rows: int, pixels: int) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """Yield blocks of what `copy_pixels` wrote, shape (n, pixels), and which rows they are."""
    count = max(1, BLOCK_BYTES // pixels)
    with raw.open("rb") as file:
        for start in range(0, rows, count):
            block = np.fromfile(file, np.uint8, count * pixels).reshape(-1, pixels)
            yield slice(start, start + len(block)), block


def choose_validation(
    train: Path, params: Prepare, labels: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.bool_]:
    """Return True for the validation rows, shape (rows,); every class keeps a training row."""
    count = validation_rows(params.validation, len(labels))
    if not 1 <= count < len(labels):
        raise InputError(
            f"params.yaml: prepare.validation = {params.validation}: {count} of the {len(labels)} "
            f"rows in {train}; expected from 1 to {len(labels) - 1}"
        )
    chosen = stratified_split(labels, count, params.seed)
    lacking, untried = (
        [classes[code] for code in np.setdiff1d(np.arange(len(classes)), labels[part])]
        for part in (~chosen, chosen)
    )
    if lacking:
        raise InputError(
            f"params.yaml: prepare.validation = {params.validation}: no training row of class "
            f"{lacking[0]!r} beside {count} validation rows; expected fewer of these"
        )
    if untried:
        print(f"warning: no validation row of {shorten(', '.join(untried))}", file=sys.stderr)
    return chosen


def measure(train: Path, raw: Path, training: NDArray[np.bool_], pixels: int) -> Statistics:
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
        raise InputError(f"{train}: all training pixels are equal; expected images")
    return Statistics(mean=total / count, std=sqrt(variance), pixels=pixels)


def write_labelled(
    directory: Path,
    raw: Path,
    columns: dict[str, NDArray[np.int64]],
    validation: NDArray[np.bool_],
    statistics: Statistics,
) -> None:
    """Deal the rows in `raw`, normalised, to train/ and validation/, in the order of the CSV.

    Args:
        directory: of both.
        raw: the pixels.
        columns: what else there is of each row, by the name of its file, each of shape (rows,).
        validation: True for the validation rows, shape (rows,).
        statistics: to normalise with.
    """
    names = ("train", "validation")
    writers = [image_writer(directory / name, statistics.pixels) for name in names]
    with writers[0] as to_train, writers[1] as to_validation:
        for rows, block in read_blocks(raw, len(validation), statistics.pixels):
            images, chosen = statistics.normalise(block), validation[rows]
            to_train.append(images[~chosen])
            to_validation.append(images[chosen])
    for name, of_part in zip(names, (~validation, validation), strict=True):
        for column, values in columns.items():
            with RowWriter(directory / name / f"{column}.npy", np.int64, ()) as writer:
                writer.append(values[of_part])


def write_test(directory: Path, table: ImageTable, statistics: Statistics) -> Digests:
    """Write the normalised test images, and their ids; return their digests, shape (rows,)."""
    digests = bytearray()
    ids: list[pd.Series[str]] = []
    with image_writer(directory / "test", statistics.pixels) as writer:
        for images in table.read():
            writer.append(statistics.normalise(images.pixels))
            digests += digest(images.pixels)
            ids.append(images.ids)
    found = np.frombuffer(digests, np.uint64)
    write_ids(directory / "ids.csv", table, pd.concat(ids, ignore_index=True), len(found))
    return found


def write_ids(path: Path, table: ImageTable, ids: "pd.Series[str]", images: int) -> None:
    """Write the ids of the images in a table, or count them where it has none."""
    column = table.columns.id
    if column is None:
        write_table(path, [pd.DataFrame({COUNTED: range(1, images + 1)})])
        return
    for place in np.flatnonzero(ids.duplicated())[:1].tolist():
        told = f"{shorten(ids[place])} again; expected ids that differ"
        raise table.fault(table.columns.first_row + place, column, told)
    write_table(path, [pd.DataFrame({table.columns.names[column]: ids})])


def write_counts(
    train: Path, test: Path, training: Digests, validation: Digests, predicted: Digests
) -> dict[str, int]:
    """Write how many rows there are, and how many have the pixels of one to train on; warn of them.

    Test rows are looked for among all labelled ones, as `train.rows: all` trains on these. Digests
    make a count wrong with a probability of at most the pairs of rows / 2**64, 1e-10 for MNIST.
    """
    rows = {"training": len(training), "validation": len(validation), "test": len(predicted)}
    within = int(np.isin(validation, training).sum())
    across = int(np.isin(predicted, np.concatenate([training, validation])).sum())
    copies = {"validation_in_training": within, "test_in_labelled": across}
    write_json(METRICS, {"rows": rows, "copies": copies})
    if within or across:
        print(
            f"warning: {train}: {within:,} validation rows are training rows as well, and "
            f"{across:,} rows of {test} are in it; expected none: the scores are too good",
            file=sys.stderr,
        )
    return rows


def image_writer(directory: Path, pixels: int) -> RowWriter:
    """Return a writer of images of `pixels` pixels to a new `directory`."""
    directory.mkdir()
    return RowWriter(directory / "images.npy", np.float32, (pixels,))


def write_prepared(
    directory: Path, train: ImageTable, test: ImageTable, params: Prepare
) -> tuple[Statistics, list[Digests]]:
    """Write all that lies in data/prepared to `directory`.

    Returns:
        What images were normalised with, and digests of training, validation and test images.
    """
    raw, pixels = directory / "pixels.raw", len(train.columns.pixels)
    labels, classes, digests = copy_pixels(train, raw)
    validation = choose_validation(train.path, params, labels, classes)
    statistics = measure(train.path, raw, ~validation, pixels)
    columns = {"labels": labels, "rows": np.arange(len(labels)) + train.columns.first_row}
    write_labelled(directory, raw, columns, validation, statistics)
    raw.unlink()
    predicted = write_test(directory, test, statistics)
    save_classes(directory / "classes.json", classes)
    statistics.save(directory / "statistics.json")
    return statistics, [digests[~validation], digests[validation], predicted]


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    train, test = open_tables(Path(params.data.train), Path(params.data.test))
    with replacing_directory(PREPARED) as directory:
        statistics, digests = write_prepared(directory, train, test, params.prepare)
    rows = write_counts(train.path, test.path, *digests)
    files = [f"{one.path}{' (pixels from 0 to 1)' * one.scaled}" for one in (train, test)]
    return (
        f"read {' and '.join(files)}; wrote {PREPARED}: "
        f"{rows['training']:,} training, {rows['validation']:,} validation and {rows['test']:,} "
        f"test images of {statistics.side} x {statistics.side} pixels, whose mean was "
        f"{statistics.mean:.3f} and standard deviation {statistics.std:.3f}"
    )
