from pathlib import Path

import numpy as np
import pytest

from digits.data.split import split_rows, stratified_folds, stratified_split
from digits.errors import InputError
from digits.params import Prepare

LABELS = np.repeat([0, 1, 3], [50, 30, 21])


@pytest.mark.parametrize("count", [0, 1, 10, 50, 100, 101])
def test_each_class_has_its_share_to_within_one_row(count: int) -> None:
    chosen = stratified_split(LABELS, count, seed=0)
    assert chosen.sum() == count
    assert (chosen == stratified_split(LABELS, count, seed=0)).all()
    others = stratified_split(LABELS, count, seed=1)
    assert (chosen == others).all() == (count in {0, len(LABELS)})
    shares = np.bincount(LABELS[chosen], minlength=4)
    assert (np.abs(shares - np.bincount(LABELS) * count / len(LABELS)) < 1).all()


def test_of_equal_remainders_the_lower_class_comes_first() -> None:
    labels = np.array([2, 1, 0, 2, 1, 0])
    assert labels[stratified_split(labels, 1, seed=0)].tolist() == [0]
    assert sorted(labels[stratified_split(labels, 2, seed=0)]) == [0, 1]
    many = np.repeat(np.arange(80), [2, 3] * 40)  # halves, of which 20 of 40 are rounded up
    shares = np.bincount(many[stratified_split(many, 100, seed=0)])
    assert np.flatnonzero(shares == 2).tolist() == list(range(1, 40, 2))


def split(labels: list[int], validation: float) -> tuple[list[int], list[int]]:
    """Return rows of classes a to c to train on, and those for validation."""
    params = Prepare(straighten=False, validation=validation, seed=0)
    rows = split_rows(Path("train.csv"), params, np.array(labels), "abc")
    training, held = (one.tolist() for one in rows)
    return training, held


@pytest.mark.parametrize("validation", [3, 0.45])
def test_every_row_is_trained_on_or_held_by_the_seed_if_one_of_each_class_is_left(
    validation: float,
) -> None:
    labels = np.array([0, 1, 2, 2, 1, 0])
    training, held = split(labels.tolist(), validation)
    assert held == np.flatnonzero(stratified_split(labels, 3, seed=0)).tolist()
    assert training == sorted({*range(6)} - {*held})
    assert split([0, 0, 1, 1, 2, 2], 1)[0] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("labels", "validation", "message"),
    [
        ([0, 0, 1, 1], 0.1, "0.1: 0 of the 4 rows in train.csv; expected from 1 to 3"),
        ([0, 0, 1, 1], 4, "4: 4 of the 4 rows in train.csv; expected from 1 to 3"),
        ([0, 0, 1, 1], 3, "3: 3 of the 4 rows leave none of class 'a' to train on; expected fewer"),
        ([0, 0, 1, 2], 3, "3: 3 of the 4 rows leave none of class 'b' to train on; expected fewer"),
        (
            [2, *[0, 1] * 4],
            7,
            "7: 7 of the 9 rows leave none of class 'c' to train on; expected fewer",
        ),
    ],
)
def test_a_split_that_leaves_none_of_a_class_is_refused(
    labels: list[int], validation: float, message: str
) -> None:
    with pytest.raises(InputError) as error:
        split(labels, validation)
    assert str(error.value) == f"params.yaml: prepare.validation = {message}"


@pytest.mark.parametrize("folds", [1, 2, 5, 7])
def test_folds_have_their_share_of_rows_and_classes(folds: int) -> None:
    labels = np.random.default_rng(0).integers(0, 4, 103)
    dealt = stratified_folds(labels, folds, seed=0)
    order = np.random.default_rng(0).permutation(103).tolist()
    for place, row in enumerate(sorted(order, key=labels.tolist().__getitem__)):
        assert dealt[row] == place % folds
    assert np.ptp(np.bincount(dealt, minlength=folds)) <= 1
    for label in range(4):
        assert np.ptp(np.bincount(dealt[labels == label], minlength=folds)) <= 1
    assert folds == 1 or (dealt != stratified_folds(labels, folds, seed=1)).any()
