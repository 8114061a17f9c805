import numpy as np
import pytest

from digits.data.split import stratified_folds, stratified_split

LABELS = np.repeat([0, 1, 3], [50, 30, 21])


@pytest.mark.parametrize("count", [0, 1, 10, 50, 100, 101])
def test_each_class_has_its_share_to_within_one_row(count: int) -> None:
    chosen = stratified_split(LABELS, count, seed=0)
    assert chosen.sum() == count
    shares = np.bincount(LABELS[chosen], minlength=4)
    assert (np.abs(shares - np.bincount(LABELS) * count / len(LABELS)) < 1).all()


def test_of_equal_remainders_the_lower_class_comes_first() -> None:
    labels = np.array([2, 1, 0, 2, 1, 0])
    assert labels[stratified_split(labels, 1, seed=0)].tolist() == [0]
    assert sorted(labels[stratified_split(labels, 2, seed=0)]) == [0, 1]


@pytest.mark.parametrize("folds", [1, 2, 5, 7])
def test_folds_have_their_share_of_rows_and_classes(folds: int) -> None:
    labels = np.random.default_rng(0).integers(0, 4, 103)
    dealt = stratified_folds(labels, folds, seed=0)
    assert np.ptp(np.bincount(dealt, minlength=folds)) <= 1
    for label in range(4):
        assert np.ptp(np.bincount(dealt[labels == label], minlength=folds)) <= 1
    assert (dealt == stratified_folds(labels, folds, seed=0)).all()
    assert folds == 1 or (dealt != stratified_folds(labels, folds, seed=1)).any()
