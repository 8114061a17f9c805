from math import comb

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


@pytest.mark.parametrize("table", [(0, 0, 0, 5), (5, 0, 0, 0), (0, 5, 0, 0), (1, 0, 0, 0)])
def test_an_extreme_table_has_an_interval_round_its_difference(table: tuple[int, ...]) -> None:
    found = Comparison(*table)
    low, high = found.interval()
    assert -1 <= low <= found.difference <= high <= 1
