import json
from math import log

import numpy as np
import pytest
import torch

from digits.evaluation.calibration import (
    BINS,
    bins,
    bootstrap_interval,
    chance_error,
    expected_calibration_error,
    scale_crosswise,
    summarise,
    temperature,
)
from digits.evaluation.measures import Predictions, negative_log_likelihood
from digits.network.inference import probabilities


def answers(confidence: float, right: int, rows: int) -> Predictions:
    """Return answers all of one confidence, of which so many are right."""
    shares = np.tile([confidence, 1 - confidence], (rows, 1))
    return Predictions((np.arange(rows) >= right).astype(np.int64), shares)


def draw(rows: int, scale: float) -> tuple[torch.Tensor, np.ndarray]:
    """Draw labels from the softmax of logits; return those logits times `scale`, and the labels."""
    generator = np.random.default_rng(0)
    logits = torch.from_numpy(generator.normal(0, 2, (rows, 4)))
    chances = logits.softmax(dim=1).cumsum(dim=1).numpy()
    labels = (generator.random((rows, 1)) > chances).sum(axis=1)
    return logits * scale, labels


def test_the_error_is_how_far_confidence_and_accuracy_are_apart() -> None:
    assert expected_calibration_error(answers(0.9, 60, 60)) == pytest.approx(0.1, abs=1e-9)
    assert expected_calibration_error(answers(0.9, 0, 60)) == pytest.approx(0.9, abs=1e-9)


def test_one_row_is_enough() -> None:
    assert expected_calibration_error(answers(0.75, 1, 1)) == pytest.approx(0.25, abs=1e-9)
    assert [one.rows for one in bins(answers(0.75, 1, 1))] == [1]
    assert scale_crosswise(torch.tensor([[2.0, 1.0]]), np.array([0])).shape == (1, 2)


def test_the_bins_hold_equally_many_rows_the_least_sure_first() -> None:
    logits, labels = draw(1003, scale=1)
    found = bins(Predictions(labels, probabilities(logits)[0]))
    assert len(found) == BINS
    assert {one.rows for one in found} == {66, 67}
    assert sum(one.rows for one in found) == 1003
    assert [one.confidence for one in found] == sorted(one.confidence for one in found)
    assert sum(one.rows * one.accuracy for one in found) == pytest.approx(
        (logits.argmax(dim=1).numpy() == labels).sum()
    )


def test_the_bins_are_what_the_error_is_made_of() -> None:
    logits, labels = draw(1003, scale=3)
    predictions = Predictions(labels, probabilities(logits)[0])
    apart = sum(one.rows * abs(one.accuracy - one.confidence) for one in bins(predictions))
    assert expected_calibration_error(predictions) == pytest.approx(apart / 1003, abs=1e-9)


def test_the_error_of_a_calibrated_network_is_what_chance_alone_makes() -> None:
    for scale, calibrated in ((1, True), (3, False)):
        logits, labels = draw(2000, scale)
        predictions = Predictions(labels, probabilities(logits)[0])
        ratio = expected_calibration_error(predictions) / chance_error(predictions)
        assert (0.7 < ratio < 1.4) is calibrated


def test_the_interval_holds_the_error_and_narrows_with_more_rows() -> None:
    widths = []
    for rows in (300, 3000):
        logits, labels = draw(rows, scale=3)
        predictions = Predictions(labels, probabilities(logits)[0])
        low, high = bootstrap_interval(predictions)
        assert 0 < low < expected_calibration_error(predictions) < high < 1
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("scale", [0.2, 1, 5])
def test_the_temperature_undoes_a_scale(scale: float) -> None:
    logits, labels = draw(20_000, scale)
    assert temperature(logits, labels) == pytest.approx(scale, rel=0.05)


def test_no_other_temperature_makes_the_labels_likelier() -> None:
    logits, labels = draw(500, scale=3)
    best = temperature(logits, labels)

    def surprise(divisor: float) -> float:
        return negative_log_likelihood(probabilities(logits / divisor)[1], labels)

    assert surprise(best) < min(surprise(best * 1.01), surprise(best / 1.01))


def test_without_rows_the_temperature_is_1() -> None:
    assert temperature(torch.empty(0, 3), np.empty(0, np.int64)) == 1


def test_a_temperature_is_finite_whether_all_answers_are_right_or_wrong() -> None:
    for scale in (1, 10, 100):
        assert temperature(torch.eye(3) * scale, np.arange(3)) == pytest.approx(0.001)
    assert temperature(torch.eye(3), np.array([1, 2, 0])) == pytest.approx(1000)


def test_each_half_is_scaled_by_what_the_other_half_says() -> None:
    logits, labels = draw(400, scale=5)
    scaled = scale_crosswise(logits, labels)
    ratios = (logits / scaled)[:, 0]
    assert len(ratios.round(decimals=6).unique()) == 2
    assert ratios.mean().item() == pytest.approx(5, rel=0.3)
    assert torch.equal(scaled.argmax(dim=1), logits.argmax(dim=1))
    before, after = (
        expected_calibration_error(Predictions(labels, probabilities(values)[0]))
        for values in (logits, scaled)
    )
    assert after < before / 2


def test_a_summary_can_be_written_and_is_the_same_each_time() -> None:
    predictions = answers(0.9, 55, 60)
    logarithms = np.log(predictions.probabilities)
    summary = summarise(predictions, logarithms)
    again = summarise(predictions, logarithms)
    assert json.dumps(summary, allow_nan=False) == json.dumps(again)
    expected = -(55 * log(0.9) + 5 * log(0.1)) / 60
    assert summary["negative_log_likelihood"] == pytest.approx(expected)
