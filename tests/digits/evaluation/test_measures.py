from math import log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from digits.evaluation import measures

PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.9, 0.05, 0.05]])
ACTUAL = np.array([0, 1, 2, 1])
PREDICTIONS = measures.Predictions(ACTUAL, PROBABILITIES)


def test_accuracy_recall_and_precision_are_shares_of_the_confusion_matrix() -> None:
    assert PREDICTIONS.predicted.tolist() == [0, 1, 0, 0]
    confusion = measures.confusion_matrix(ACTUAL, PREDICTIONS.predicted, classes=3)
    assert confusion.tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]  # actual by predicted
    assert measures.accuracy(confusion) == 2 / 4
    found = measures.by_class(confusion, list("abc")).to_dict("list")
    assert found.pop("precision") == pytest.approx([1 / 3, 1, np.nan], nan_ok=True)
    assert found.pop("recall") == [1, 1 / 2, 0]
    assert found == {"class": ["a", "b", "c"], "rows": [1, 2, 1], "errors": [0, 1, 1]}


def test_of_equally_likely_classes_the_lowest_is_predicted() -> None:
    shares = np.array([[0.2, 0.4, 0.4], [0.5, 0.0, 0.5]])
    assert measures.Predictions(ACTUAL[:2], shares).predicted.tolist() == [1, 0]


def test_the_likelihood_is_the_mean_surprise_and_brier_score_the_mean_squared_distance() -> None:
    surprise = -(log(0.5) + log(0.8) + log(0.3) + log(0.05)) / 4
    found = measures.negative_log_likelihood(np.log(PROBABILITIES), ACTUAL)
    assert found == pytest.approx(surprise, abs=1e-15)
    score = measures.brier_score(PROBABILITIES[:2], ACTUAL[:2])
    assert score == pytest.approx((0.25 + 0.09 + 0.04 + 0.01 + 0.04 + 0.01) / 2)


def test_the_order_of_rows_does_not_matter_to_the_last_bit() -> None:
    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(10), 1000)
    actual, order = generator.integers(0, 10, 1000), generator.permutation(1000)
    for measure in (measures.brier_score, measures.negative_log_likelihood):
        assert measure(shares, actual) == measure(shares[order], actual[order])


def test_the_worst_mistakes_and_the_hardest_rows_come_first() -> None:
    assert PREDICTIONS.misclassified().tolist() == [3, 2]
    assert PREDICTIONS.hardest().tolist() == [2, 0, 1, 3]
    alike = measures.Predictions(np.ones(80, np.int64), np.tile([[0.7, 0.3], [0.6, 0.4]], (40, 1)))
    assert alike.misclassified().tolist() == [*range(0, 80, 2), *range(1, 80, 2)]
    assert alike.hardest().tolist() == [*range(1, 80, 2), *range(0, 80, 2)]


@pytest.mark.parametrize(("right", "rows"), [(50, 100), (0, 10), (11, 11), (6873, 7000)])
def test_the_wilson_interval_is_that_of_scipy(right: int, rows: int) -> None:
    expected = binomtest(right, rows).proportion_ci(method="wilson")
    found = measures.wilson_interval(right, rows)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= min(found) <= max(found) <= 1


def test_blocks_of_rows_come_to_what_all_rows_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "BLOCK", 3)
    seen = []

    def double(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        seen.append(len(rows))
        return 2 * rows

    rows = np.arange(14.0).reshape(7, 2)
    assert np.array_equal(measures.by_blocks(double, rows), 2 * rows)
    assert seen == [3, 3, 1]
