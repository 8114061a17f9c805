"""The split of labelled rows into training and validation: seeded, and stratified by class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import InputError
from digits.params import Prepare

Rows = NDArray[np.int64]  # their numbers, from 0


def split_rows(
    train: Path, params: Prepare, labels: NDArray[np.int64], classes: Sequence[str]
) -> tuple[Rows, Rows]:
    """Return the rows to train on, some of each class, and those for validation."""
    given = params.validation
    count = given if isinstance(given, int) else round(given * len(labels))
    where = f"params.yaml: prepare.validation = {given}: {count} of the {len(labels)} rows"
    if not 1 <= count < len(labels):
        raise InputError(f"{where} in {train}; expected from 1 to {len(labels) - 1}")
    chosen = stratified_split(labels, count, params.seed)
    left = np.bincount(labels[~chosen], minlength=len(classes))
    for code in np.flatnonzero(left == 0)[:1]:
        lacking = f"leave none of class {classes[code]!r} to train on"
        raise InputError(f"{where} {lacking}; expected fewer")
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def stratified_split(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.bool_]:
    """Choose `count` rows so that each class of labels, shape (rows,), has its share, to one row.

    Returns True for the chosen rows, shape (rows,).
    """
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label, share in enumerate(_shares(np.bincount(labels), count)):
        members = np.flatnonzero(labels == label)
        chosen[generator.permutation(members)[:share]] = True
    return chosen


def stratified_folds(labels: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Deal rows to folds so that each has its share of each class, to within one row.

    Returns the fold of each row, from 0 to `folds` - 1, of the shape of `labels`, (rows,).
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    dealt = np.empty_like(labels)
    # On from one class to the next, so that the folds differ by one row at most in all.
    dealt[by_class] = np.arange(len(labels)) % folds
    return dealt


def _shares(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Deal `count` to classes in proportion to `sizes`, by the method of largest remainders."""
    shares, remainders = np.divmod(sizes * count, sizes.sum())
    # A stable sort: of equal remainders, the lower class comes first.
    largest = np.argsort(-remainders, kind="stable")[: count - shares.sum()]
    shares[largest] += 1
    return shares
