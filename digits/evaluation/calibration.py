"""Calibration: whether a network is right as often as it says, before and after a temperature.

The error is Naeini, Cooper and Hauskrecht's (2015, "Obtaining well calibrated probabilities using
Bayesian binning"), with bins of equal mass, as Nguyen and O'Connor have them (2015, "Posterior
calibration and exploratory analysis"): where nearly every answer is nearly certain, bins of equal
width leave all of them in one. The temperature is Guo et al.'s (2017, "On calibration of modern
neural networks", section 4.2).
"""

from collections.abc import Iterator
from math import fsum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits import exact
from digits.data.split import stratified_folds
from digits.evaluation.measures import Predictions, by_blocks, negative_log_likelihood

BINS = 15  # of equally many rows, to within one; of fewer rows, as many
UNIT = 2.0**-40  # of the whole numbers that gaps are summed in, which no order of them changes
WIDEST = 6.907755278982137  # ln 1000: a temperature is between 1/1000 and 1000
HALVINGS = 40
COLUMNS = ["probabilities", "expected_calibration_error", "negative_log_likelihood", "temperature"]


def summarise(
    logits: NDArray[np.floating], actual: NDArray[np.int64]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how well probabilities of logits and accuracy agree, raw and scaled; and the bins.

    Scaled is each half by the temperature of the other; the table has that of all rows.
    """
    rows, columns = [], dict[str, pd.Series]()
    scaled = scale_crosswise(logits, actual)
    kinds = ("raw", logits, 1.0), ("scaled", scaled, temperature(logits, actual))
    for kind, values, divisor in kinds:
        predictions = Predictions(actual, by_blocks(exact.softmax, values))
        loss = negative_log_likelihood(by_blocks(exact.log_softmax, values), actual)
        rows.append((kind, expected_error(predictions), loss, divisor))
        table = bins(predictions)
        columns["rows"] = table["rows"]
        columns |= {f"{kind}_{name}": table[name] for name in ("confidence", "accuracy")}
    return pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(columns)


def bins(predictions: Predictions) -> pd.DataFrame:
    """Return rows, mean confidence and accuracy of each bin, the least sure first."""
    rows = [
        (len(right), fsum(confidence) / len(right), int(right.sum()) / len(right))
        for confidence, right in _split(predictions)
    ]
    return pd.DataFrame(rows, columns=["rows", "confidence", "accuracy"])


def expected_error(predictions: Predictions) -> float:
    """Return the mean over rows of how far confidence and accuracy of their bin are apart."""
    gaps = (np.rint((confidence - right) / UNIT) for confidence, right in _split(predictions))
    total = sum(abs(int(gap.astype(np.int64).sum())) for gap in gaps)
    return total * UNIT / len(predictions.actual)


def _split(predictions: Predictions) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield each bin's probabilities of the predicted classes, and whether these are the actual."""
    confidence = predictions.probabilities.max(axis=1)
    right = predictions.predicted == predictions.actual
    order = np.argsort(confidence, kind="stable")
    for rows in np.array_split(order, min(BINS, len(order))):
        yield confidence[rows], right[rows]


def temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return what to divide logits, shape (rows, classes), by to make the labels likeliest.

    Without rows it is 1; where every label is the likeliest class, the least that there is.
    """
    if not len(labels):
        return 1.0
    wide = logits.astype(np.float64)
    likelihoods = wide[np.arange(len(labels)), labels]
    own = fsum(likelihoods.tolist())
    low, high = -WIDEST, WIDEST
    if np.array_equal(likelihoods, wide.max(axis=1)):
        low = high
    # The logarithm of the inverse; the likelihood rises in it up to where it is greatest.
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        shares = by_blocks(exact.softmax, wide * exact.exp(np.array(middle)))
        shares *= wide
        expected = fsum(exact.total(shares, 1).tolist())
        low, high = (middle, high) if expected < own else (low, middle)
    return float(exact.exp(np.array(-(low + high) / 2)))


def scale_crosswise(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return logits, (rows, classes), each half divided by the other's temperature, not its own."""
    scaled, dealt = logits.astype(np.float64), stratified_folds(labels, 2, seed=0)
    for half in range(2):
        other = dealt != half
        scaled[~other] /= temperature(logits[other], labels[other])
    return scaled
