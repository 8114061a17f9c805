from math import log

import numpy as np
import pytest

from digits.evaluation.measures import (
    Predictions,
    accuracy,
    brier_score,
    confusion_matrix,
    negative_log_likelihood,
    precision,
    recall,
    wilson_interval,
)

PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.9, 0.05, 0.05]])
ACTUAL = np.array([0, 1, 2, 1])
PREDICTIONS = Predictions(ACTUAL, PROBABILITIES)
CONFUSION = confusion_matrix(PREDICTIONS.predicted, ACTUAL, classes=3)


def test_rows_of_the_confusion_matrix_are_predicted_and_columns_actual() -> None:
    assert PREDICTIONS.predicted.tolist() == [0, 1, 0, 0]
    assert CONFUSION.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]


def test_accuracy_precision_and_recall_are_shares_of_the_confusion_matrix() -> None:
    assert accuracy(CONFUSION) == 2 / 4
    assert precision(CONFUSION)[0] == 1 / 3
    assert recall(CONFUSION) == {0: 1, 1: 1 / 2, 2: 0}


def test_a_class_without_rows_has_no_recall_and_one_without_predictions_no_precision() -> None:
    assert precision(CONFUSION).keys() == {0, 1}
    assert recall(CONFUSION.T).keys() == {0, 1}


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
    logs = np.log(shares)
    assert brier_score(shares, actual) == brier_score(shares[order], actual[order])
    assert negative_log_likelihood(logs, actual) == negative_log_likelihood(
        logs[order], actual[order]
    )


def test_the_misclassified_come_worst_first() -> None:
    assert PREDICTIONS.misclassified().tolist() == [3, 2]


def test_the_hardest_come_first_right_or_wrong() -> None:
    assert PREDICTIONS.hardest().tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    [  # worked by hand from Wilson's formula, to 6 digits
        (50, 100, 0.403832, 0.596168),
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (1, 1, 0.206549, 1.0),
    ],
)
def test_the_wilson_interval_is_the_published_one(
    right: int, rows: int, low: float, high: float
) -> None:
    assert wilson_interval(right, rows) == pytest.approx((low, high), abs=1e-6)
