import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from digits import exact
from digits.evaluation.calibration import (
    BINS,
    bins,
    expected_error,
    scale_crosswise,
    summarise,
    temperature,
)
from digits.evaluation.measures import Predictions, negative_log_likelihood


def draw(rows: int, scale: float) -> tuple[NDArray[np.float64], NDArray[np.int64], Predictions]:
    """Draw labels from the softmax of logits; return those logits times `scale`, and the labels."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (rows, 4))
    chances = softmax(logits, axis=1).cumsum(axis=1)
    labels = (generator.random((rows, 1)) > chances).sum(axis=1)
    return logits * scale, labels, Predictions(labels, exact.softmax(logits * scale))


@pytest.mark.parametrize(("right", "rows", "apart"), [(60, 60, 0.1), (0, 60, 0.9), (1, 1, 0.1)])
def test_the_error_is_how_far_confidence_and_accuracy_are_apart(
    right: int, rows: int, apart: float
) -> None:
    shares = np.tile([0.9, 0.1], (rows, 1))
    predictions = Predictions((np.arange(rows) >= right).astype(np.int64), shares)
    assert expected_error(predictions) == pytest.approx(apart, abs=1e-9)
    assert len(bins(predictions)) == min(rows, BINS)


def test_bins_of_equally_many_rows_are_what_the_error_is_made_of() -> None:
    _, labels, predictions = draw(1003, scale=3)
    found = bins(predictions)
    assert set(found["rows"]) == {66, 67}
    assert found["confidence"].is_monotonic_increasing
    right = (predictions.predicted == labels).sum()
    assert (found["rows"] * found["accuracy"]).sum() == pytest.approx(right)
    apart = (found["rows"] * abs(found["accuracy"] - found["confidence"])).sum()
    assert expected_error(predictions) == pytest.approx(apart / 1003, abs=1e-9)


def test_the_summary_is_of_raw_and_of_scaled_probabilities() -> None:
    logits, labels, _ = draw(400, scale=5)
    found, reliability = summarise(logits, labels)
    kinds = {"raw": (logits, 1.0)}
    kinds["scaled"] = scale_crosswise(logits, labels), temperature(logits, labels)
    for row, (kind, (values, divisor)) in zip(
        found.itertuples(index=False), kinds.items(), strict=True
    ):
        shares = softmax(values, axis=1)
        predictions, own = Predictions(labels, shares), shares[np.arange(400), labels]
        expected = (expected_error(predictions), -np.log(own).mean(), divisor)
        assert row[0] == kind
        assert row[1:] == pytest.approx(expected)
        for column in ("confidence", "accuracy"):
            assert list(reliability[f"{kind}_{column}"]) == pytest.approx(
                list(bins(predictions)[column])
            )


@pytest.mark.parametrize("scale", [0.2, 5])
def test_the_temperature_that_undoes_a_scale_makes_the_labels_likeliest(scale: float) -> None:
    logits, labels, _ = draw(20_000, scale)
    best = temperature(logits, labels)
    assert best == pytest.approx(scale, rel=0.05)
    surprises = [
        negative_log_likelihood(exact.log_softmax(logits / (best * by)), labels)
        for by in (1, 1.01, 1 / 1.01)
    ]
    assert min(surprises) == surprises[0]


def test_a_temperature_is_finite_whatever_is_right() -> None:
    for scale in (1, 10, 100):
        assert temperature(np.eye(3) * scale, np.arange(3)) == pytest.approx(0.001)
    assert temperature(np.eye(3), np.array([1, 2, 0])) == pytest.approx(1000)
    assert scale_crosswise(np.array([[2.0, 1.0]]), np.array([0])).tolist() == [[2, 1]]


def test_each_half_is_scaled_by_what_the_other_half_says() -> None:
    logits, labels, predictions = draw(400, scale=5)
    scaled = scale_crosswise(logits, labels)
    ratios = (logits / scaled)[:, 0]
    halves = ratios < ratios.mean(), ratios > ratios.mean()
    assert [half.sum() for half in halves] == [200, 200]
    for half, other in (halves, halves[::-1]):
        assert ratios[half] == pytest.approx(temperature(logits[other], labels[other]))
    error = expected_error(Predictions(labels, exact.softmax(scaled)))
    assert error < expected_error(predictions) / 2
