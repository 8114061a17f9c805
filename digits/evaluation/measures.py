"""Measures of predictions. Sums of floats are exact (`math.fsum`), so that no order matters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum, sqrt
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BLOCK = 4096  # rows, which bounds memory, and which a cache holds
Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True)
class Predictions:
    """A network's answers: actual classes, shape (rows,), and probabilities, (rows, classes)."""

    actual: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The likeliest class of each row, the lowest of equals, shape (rows,)."""
        classes: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return classes

    def misclassified(self) -> NDArray[np.int64]:
        """Return the wrong rows, the one whose actual class was held least likely first."""
        wrong = np.flatnonzero(self.predicted != self.actual)
        likelihood = self.probabilities[wrong, self.actual[wrong]]
        return wrong[np.argsort(likelihood, kind="stable")]

    def hardest(self) -> NDArray[np.int64]:
        """Return all rows, the one with the most evenly divided probabilities first."""
        # One class after the other: NumPy's own order of a sum is not promised.
        sums = sum((self.probabilities * self.probabilities).T)
        return np.argsort(sums, kind="stable")


def by_blocks(
    function: Callable[[NDArray[Any]], NDArray[np.float64]], rows: NDArray[Any]
) -> NDArray[np.float64]:
    """Return what a function makes of rows, each by itself, in blocks."""
    return np.concatenate([function(one) for one in np.split(rows, range(BLOCK, len(rows), BLOCK))])


def confusion_matrix(
    actual: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Count rows by actual class (rows) and predicted class (columns), shape (classes, classes)."""
    pairs = np.bincount(actual * classes + predicted, minlength=classes * classes)
    return pairs.reshape(classes, classes)


def accuracy(confusion: NDArray[np.int64]) -> float:
    """Return the share of right predictions, from 0 to 1."""
    return int(confusion.trace()) / int(confusion.sum())


def by_class(confusion: NDArray[np.int64], names: Sequence[str]) -> pd.DataFrame:
    """Return class, rows, errors among them, recall and precision; a share of no rows is NaN."""
    actual, predicted = (pd.Series(confusion.sum(axis=axis)) for axis in (1, 0))
    right = confusion.diagonal()
    shares = {"recall": right / actual, "precision": right / predicted}
    return pd.DataFrame({"class": names, "rows": actual, "errors": actual - right, **shares})


def negative_log_likelihood(
    log_probabilities: NDArray[np.float64], actual: NDArray[np.int64]
) -> float:
    """Return the mean of -log p(actual class), in nats, of logarithms, shape (rows, classes)."""
    return -fsum(log_probabilities[np.arange(len(actual)), actual]) / len(actual)


def brier_score(probabilities: NDArray[np.float64], actual: NDArray[np.int64]) -> float:
    """Return the mean squared distance from the truth, from 0 to 2 (Brier 1950)."""
    truth = np.eye(probabilities.shape[1])[actual]
    return fsum(((probabilities - truth) ** 2).ravel()) / len(actual)


def wilson_interval(right: float, rows: int, z: float = Z_95) -> tuple[float, float]:
    """Return the score interval of a proportion (Wilson 1927), both ends from 0 to 1.

    `z` is the two-sided quantile of the normal distribution, by default that of 95 %.

    SciPy's last bit is not the same everywhere, and these numbers are in results.
    """
    share, square = right / rows, z * z
    centre = share + square / (2 * rows)
    margin = z * sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    low, high = ((centre + sign * margin) / (1 + square / rows) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)
