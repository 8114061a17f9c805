"""Whether two networks' answers to the same rows differ by more than chance."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from digits.evaluation.measures import wilson_interval

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """How many rows both, the later network alone, the earlier alone, and neither have right."""

    both_right: int
    fixed: int
    broken: int
    both_wrong: int

    @property
    def rows(self) -> int:
        """All rows."""
        return self.both_right + self.fixed + self.broken + self.both_wrong

    @property
    def difference(self) -> float:
        """Accuracy of the later less that of the earlier, from -1 to 1."""
        return (self.fixed - self.broken) / self.rows

    @property
    def p_value(self) -> float:
        """How often chance alone divides the changed rows at least so unevenly, from 0 to 1.

        The exact test of McNemar (1947), two-sided.
        """
        changed = self.fixed + self.broken
        return float(binomtest(self.fixed, changed).pvalue) if changed else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference, both ends from -1 to 1.

        Newcombe (1998), "Improved confidence intervals for the difference between binomial
        proportions based on paired data", method 10: score intervals of both accuracies, joined
        with regard to their correlation.
        """
        after, before = self.both_right + self.fixed, self.both_right + self.broken
        low_after, high_after = _distances(after, self.rows)
        low_before, high_before = _distances(before, self.rows)
        correlation = self._correlation()
        down = _third_side(low_after, high_before, correlation)
        up = _third_side(high_after, low_before, correlation)
        return self.difference - down, self.difference + up

    def _correlation(self) -> float:
        """Return phi of the 2 x 2 table, corrected for continuity as Newcombe does."""
        a, b, c, d = self.both_right, self.fixed, self.broken, self.both_wrong
        product = (a + b) * (c + d) * (a + c) * (b + d)
        covariance = a * d - b * c
        corrected = max(covariance - self.rows / 2, 0) if covariance > 0 else covariance
        return corrected / sqrt(product) if product else 0.0

    @property
    def verdict(self) -> str:
        """One of "better", "worse" and "not to be told apart", at a significance of 5 %."""
        if self.p_value >= SIGNIFICANCE:
            return "not to be told apart"
        return "better" if self.fixed > self.broken else "worse"


def _third_side(one: float, other: float, cosine: float) -> float:
    """Return the third side of a triangle."""
    return sqrt(max(one * one - 2 * cosine * one * other + other * other, 0))


def _distances(right: int, rows: int) -> tuple[float, float]:
    """Return how far a proportion lies above and below the ends of its own interval."""
    low, high = wilson_interval(right, rows)
    return right / rows - low, high - right / rows


def compare(
    actual: NDArray[np.generic], before: NDArray[np.generic], after: NDArray[np.generic]
) -> Comparison:
    """Count the rows by who has them right; classes by number or by name, all of shape (rows,)."""
    was, now = before == actual, after == actual
    counts = (was & now, ~was & now, was & ~now, ~was & ~now)
    return Comparison(*(int(rows.sum()) for rows in counts))
