import numpy as np
import pytest

from digits.evaluation.comparison import Comparison, compare


def test_rows_are_counted_by_who_has_them_right() -> None:
    actual = np.array([0, 1, 2, 3, 4, 5, 6])
    before = np.array([0, 1, 2, 0, 0, 0, 0])
    after = np.array([0, 1, 0, 3, 4, 5, 1])
    found = compare(actual, before, after)
    assert found == Comparison(both_right=2, fixed=3, broken=1, both_wrong=1)
    assert found.difference == 2 / 7


@pytest.mark.parametrize(
    ("fixed", "broken", "p_value", "verdict"),
    [
        (0, 0, 1.0, "not to be told apart"),
        (5, 0, 2 / 32, "not to be told apart"),
        (0, 6, 2 / 64, "worse"),
        (12, 2, 212 / 2**14, "better"),
    ],
)
def test_the_test_is_exact_and_the_verdict_needs_more_than_chance(
    fixed: int, broken: int, p_value: float, verdict: str
) -> None:
    found = Comparison(20, fixed, broken, 3)
    assert found.p_value == pytest.approx(p_value, rel=1e-12)
    assert found.verdict == verdict


def test_the_interval_is_that_of_published_examples_both_ways_round() -> None:
    assert Comparison(36, 12, 2, 0).interval == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert Comparison(36, 2, 12, 0).interval == pytest.approx((-0.3404, -0.0569), abs=5e-5)
    # Where the correlation is positive: Fagerland, Lydersen and Laake (2014), "Recommended tests
    # and confidence intervals for paired binomial proportions", hyper-responsive airways.
    assert Comparison(1, 1, 7, 12).interval == pytest.approx((-0.507, -0.026), abs=5e-4)


@pytest.mark.parametrize("table", [(0, 0, 0, 5), (5, 0, 0, 0), (0, 5, 0, 0), (1, 0, 0, 0)])
def test_an_extreme_table_has_an_interval_round_its_difference(table: tuple[int, ...]) -> None:
    found = Comparison(*table)
    low, high = found.interval
    assert -1 <= low <= found.difference <= high <= 1
