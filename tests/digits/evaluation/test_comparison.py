from math import comb, sqrt

import numpy as np
import pytest
from scipy.stats import binomtest

from digits.evaluation.comparison import Comparison, compare


def test_rows_are_counted_by_who_has_them_right() -> None:
    actual = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    before = np.array([0, 1, 2, 0, 0, 0, 0, 0, 0, 0])
    after = np.array([0, 1, 0, 3, 4, 5, 1, 1, 1, 1])
    found = compare(actual, before, after)
    assert found == Comparison(both_right=2, fixed=3, broken=1, both_wrong=4)
    assert found.difference == 2 / 10


@pytest.mark.parametrize(("fixed", "broken", "p_value"), [(0, 0, 1.0), (5, 0, 2 / 32)])
def test_the_test_of_what_changed_is_exact(fixed: int, broken: int, p_value: float) -> None:
    assert Comparison(20, fixed, broken, 3).p_value == pytest.approx(p_value, rel=1e-12)


def test_the_verdict_is_what_the_interval_says_which_widens_with_the_comparisons() -> None:
    better, worse = Comparison(980, 14, 4, 2), Comparison(980, 4, 14, 2)
    assert (better.verdict(), worse.verdict()) == ("better", "worse")
    assert [worse.interval(many)[1] > 0 for many in (1, 2)] == [False, True]
    assert {one.verdict(2) for one in (better, worse)} == {"not told apart"}
    assert Comparison(980, 9, 9, 2).verdict() == "not told apart"


def test_luck_alone_is_called_better_or_worse_in_5_of_100_cases_at_most() -> None:
    changes = [(fixed, changed - fixed) for changed in range(40, 60) for fixed in range(changed)]
    for comparisons in (1, 10):
        chance = 0.0
        for fixed, broken in changes:
            found = Comparison(6900 - fixed - broken, fixed, broken, 100)
            if found.verdict(comparisons) != "not told apart":
                chance += comb(fixed + broken, fixed) / 2 ** (fixed + broken) / 20
        assert 0.02 < chance * comparisons <= 0.05


def test_the_interval_is_that_of_published_examples_both_ways_round() -> None:
    assert Comparison(36, 12, 2, 0).interval() == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert Comparison(36, 2, 12, 0).interval() == pytest.approx((-0.3404, -0.0569), abs=5e-5)
    # Where the correlation is positive: Fagerland, Lydersen and Laake (2014), "Recommended tests
    # and confidence intervals for paired binomial proportions", hyper-responsive airways.
    assert Comparison(1, 1, 7, 12).interval() == pytest.approx((-0.507, -0.026), abs=5e-4)


def interval_slowly(a: int, b: int, c: int, d: int) -> tuple[float, float]:
    """By Newcombe's formula, with the score intervals of SciPy."""
    n, product, phi = a + b + c + d, (a + b) * (c + d) * (a + c) * (b + d), 0.0
    if product:
        determinant = a * d - b * c
        corrected = max(determinant - n / 2, 0) if determinant > 0 else determinant
        phi = corrected / sqrt(product)
    (l2, u2), (l3, u3) = (
        binomtest(right, n).proportion_ci(method="wilson") for right in (a + b, a + c)
    )
    p2, p3 = (a + b) / n, (a + c) / n
    down = (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u3 - p3) + (u3 - p3) ** 2
    up = (u2 - p2) ** 2 - 2 * phi * (u2 - p2) * (p3 - l3) + (p3 - l3) ** 2
    return (b - c) / n - sqrt(down), (b - c) / n + sqrt(up)


@pytest.mark.parametrize(
    "table",
    [(0, 0, 0, 5), (5, 0, 0, 0), (0, 5, 0, 0), (1, 0, 0, 0), (1, 0, 0, 1), (30, 4, 9, 20)],
)
def test_the_interval_of_any_table_is_that_of_the_plain_formula(
    table: tuple[int, int, int, int],
) -> None:
    found = Comparison(*table)
    low, high = found.interval()
    assert (low, high) == pytest.approx(interval_slowly(*table), abs=1e-9)
    assert -1 <= low <= found.difference <= high <= 1
