from math import log

import numpy as np
import pytest
from scipy.stats import binomtest

from digits.evaluation.measures import (
    Predictions,
    accuracy,
    brier_score,
    by_class,
    confusion_matrix,
    negative_log_likelihood,
    wilson_interval,
)

PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.9, 0.05, 0.05]])
ACTUAL = np.array([0, 1, 2, 1])
PREDICTIONS = Predictions(ACTUAL, PROBABILITIES)
CONFUSION = confusion_matrix(PREDICTIONS.predicted, ACTUAL, classes=3)


def test_rows_of_the_confusion_matrix_are_predicted_and_columns_actual() -> None:
    assert PREDICTIONS.predicted.tolist() == [0, 1, 0, 0]
    assert CONFUSION.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]


def test_accuracy_recall_and_precision_are_shares_of_the_confusion_matrix() -> None:
    assert accuracy(CONFUSION) == 2 / 4
    found = by_class(CONFUSION, list("abc")).to_dict("list")
    assert found.pop("precision") == pytest.approx([1 / 3, 1, np.nan], nan_ok=True)
    assert found.pop("recall") == [1, 1 / 2, 0]
    assert found == {"class": ["a", "b", "c"], "rows": [1, 2, 1], "errors": [0, 1, 1]}


def test_negative_log_likelihood_is_the_mean_surprise() -> None:
    expected = -(log(0.5) + log(0.8) + log(0.3) + log(0.05)) / 4
    found = negative_log_likelihood(np.log(PROBABILITIES), ACTUAL)
    assert found == pytest.approx(expected, abs=1e-15)


def test_brier_score_runs_from_0_to_2() -> None:
    truth, opposite = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert brier_score(truth, np.array([0])) == 0
    assert brier_score(opposite, np.array([0])) == 2
    assert brier_score(PROBABILITIES[:1], ACTUAL[:1]) == pytest.approx(0.25 + 0.09 + 0.04)


def test_the_order_of_rows_does_not_matter_to_the_last_bit() -> None:
    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(10), 1000)
    actual = generator.integers(0, 10, 1000)
    order = generator.permutation(1000)
    for measure, values in ((brier_score, shares), (negative_log_likelihood, np.log(shares))):
        assert measure(values, actual) == measure(values[order], actual[order])


def test_the_worst_mistakes_and_the_hardest_rows_come_first() -> None:
    assert PREDICTIONS.misclassified().tolist() == [3, 2]
    assert PREDICTIONS.hardest().tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize(("right", "rows"), [(50, 100), (0, 10), (10, 10), (1, 1), (6873, 7000)])
def test_the_wilson_interval_is_that_of_scipy(right: int, rows: int) -> None:
    expected = binomtest(right, rows).proportion_ci(method="wilson")
    assert wilson_interval(right, rows) == pytest.approx((expected.low, expected.high), abs=1e-12)
