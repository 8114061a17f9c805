"""Whether two networks' answers to the same rows differ by more than chance."""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from digits.evaluation.measures import wilson_interval


class Comparison(NamedTuple):
    """How many rows both, the later network alone, the earlier alone, and neither have right."""

    both_right: int
    fixed: int
    broken: int
    both_wrong: int

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self)

    @property
    def difference(self) -> float:
        """Accuracy of the later less that of the earlier, from -1 to 1."""
        return (self.fixed - self.broken) / self.rows

    @property
    def p_value(self) -> float:
        """How often chance divides the changed rows so unevenly: McNemar's exact test (1947)."""
        changed = self.fixed + self.broken
        return float(binomtest(self.fixed, changed).pvalue) if changed else 1.0

    def interval(self, comparisons: int = 1) -> tuple[float, float]:
        """Return an interval of the difference, both ends from -1 to 1.

        Of so many comparisons, all intervals hold together in 95 % of cases: each has its share of
        the other 5 %, by Bonferroni's inequality (Dunn 1961, "Multiple comparisons among means").

        Newcombe (1998), "Improved confidence intervals for the difference between binomial
        proportions based on paired data", method 10: score intervals of both accuracies, joined
        by their correlation, phi of the table, corrected for continuity.
        """
        a, b, c, d = self
        covariance, product = float(a * d - b * c), (a + b) * (c + d) * (a + c) * (b + d)
        if covariance > 0:
            covariance = max(covariance - self.rows / 2, 0)
        phi = covariance / sqrt(product) if product else 0.0
        z = NormalDist().inv_cdf(1 - 0.025 / comparisons)
        below, above = self._distances(a + b, z)
        below_before, above_before = self._distances(a + c, z)
        down, up = _third_side(below, above_before, phi), _third_side(above, below_before, phi)
        return self.difference - down, self.difference + up

    def _distances(self, right: int, z: float) -> tuple[float, float]:
        """Return how far an accuracy lies above and below the ends of its own interval."""
        low, high = wilson_interval(right, self.rows, z)
        return right / self.rows - low, high - right / self.rows

    def verdict(self, comparisons: int = 1) -> str:
        """Return what `interval` says of the later network: better, worse or not told apart."""
        low, high = self.interval(comparisons)
        return "better" if low > 0 else "worse" if high < 0 else "not told apart"


def _third_side(one: float, other: float, cosine: float) -> float:
    """Return the third side of a triangle."""
    return sqrt(max(one * one - 2 * cosine * one * other + other * other, 0))


def compare(
    actual: NDArray[np.generic], before: NDArray[np.generic], after: NDArray[np.generic]
) -> Comparison:
    """Count the rows by who has them right; classes by number or by name, all of shape (rows,)."""
    was, now = before == actual, after == actual
    counts = (was & now, ~was & now, was & ~now, ~was & ~now)
    return Comparison(*(int(rows.sum()) for rows in counts))
