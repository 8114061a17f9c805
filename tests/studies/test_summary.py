from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import stdev, variance
from typing import Any

import pytest
from PIL import Image

from digits.errors import InputError
from digits.evaluation.measures import wilson_interval
from studies.design import Trial
from studies.summary import Mean, corrected_mean, draw_study, quantile, summarise
from studies.trial import Result


def result(errors: int) -> Result:
    return Result(
        rows=100,
        errors=errors,
        negative_log_likelihood=0.1,
        test_rows=0,
        test_errors=0,
        seconds=1.0,
        network="",
    )


RESULTS = {
    Trial(variant, seed, fold): result(errors[seed][fold])
    for variant, errors in (("a", [[5, 6], [7, 8]]), ("b", [[3, 5], [6, 6]]))
    for seed in (0, 1)
    for fold in (0, 1)
}


def by_fold(*values: list[float]) -> dict[Trial, float]:
    """Return values of trials by seed, from a list for each fold."""
    return {
        Trial("a", seed, fold): value
        for fold, found in enumerate(values)
        for seed, value in enumerate(found)
    }


def test_a_mean_over_folds_without_shared_rows_is_students() -> None:
    values = [0.1, 0.4, 0.2, 0.7, 0.3]
    found = corrected_mean(by_fold(*([value] for value in values)), held_out=0)
    assert found.mean == pytest.approx(0.34)
    assert found.deviation == pytest.approx(stdev(values))
    assert found.error == pytest.approx(sqrt(variance(values) / 5))
    assert found.high is not None
    assert found.error is not None
    assert found.high - found.mean == pytest.approx(2.776445 * found.error, rel=1e-6)
    assert found.low == pytest.approx(2 * found.mean - found.high)


@pytest.mark.parametrize(
    ("freedom", "published"),
    [
        (1, 12.706204736175),
        (2, 4.302652729750),
        (3, 3.182446305284),
        (4, 2.776445105198),
        (9, 2.262157162798),
        (99, 1.984216951586),
    ],
)
def test_the_quantile_is_that_of_published_tables(freedom: int, published: float) -> None:
    assert quantile(freedom) == pytest.approx(published, abs=1e-11)


def test_the_more_rows_are_held_out_the_less_sure_is_a_mean() -> None:
    values = by_fold([0.1], [0.4], [0.2])
    none, some, half = (corrected_mean(values, held_out).error or 0 for held_out in (0, 0.1, 0.5))
    assert some == pytest.approx(none * sqrt(1 + 3 / 9))
    assert half == pytest.approx(none * sqrt(1 + 3))


def test_more_seeds_on_the_same_folds_make_a_mean_no_surer() -> None:
    once = corrected_mean(by_fold([0.1], [0.4], [0.2]), held_out=0.1)
    often = corrected_mean(by_fold([0.1] * 5, [0.4] * 5, [0.2] * 5), held_out=0.1)
    assert (often.mean, often.error, often.low) == pytest.approx((once.mean, once.error, once.low))


def test_one_fold_tells_nothing_of_the_error() -> None:
    assert corrected_mean(by_fold([0.5]), 0.2) == Mean(0.5)
    several = corrected_mean(by_fold([0.5, 0.7]), 0.2)
    assert several.deviation == pytest.approx(sqrt(0.02))
    assert several.error is several.low is several.high is None


def test_variants_are_held_against_the_first_one_pair_by_pair() -> None:
    summary: dict[str, Any] = summarise(RESULTS, rows=200)
    assert list(summary) == ["a", "b"]
    assert summary["a"]["trials"] == 4
    assert summary["a"]["accuracy"]["mean"] == pytest.approx(0.935)
    assert "difference" not in summary["a"]
    difference = summary["b"]["difference"]
    assert (difference["from"], difference["pairs"]) == ("a", 4)
    assert difference["mean"] == pytest.approx(0.015)
    expected = sqrt(variance([0.015, 0.015]) * (1 / 2 + 0.5 / 0.5))
    assert difference["error"] == pytest.approx(expected)


@pytest.mark.parametrize("fewer", ["a", "b"])
def test_variants_are_held_against_the_seeds_that_the_first_has_too(fewer: str) -> None:
    kept = {t: found for t, found in RESULTS.items() if t.variant != fewer or t.seed == 1}
    summary: dict[str, Any] = summarise(kept, rows=200)
    assert summary[fewer]["trials"] == 2
    assert summary["b"]["difference"]["pairs"] == 2
    assert summary["b"]["difference"]["mean"] == pytest.approx(0.015)


def test_what_has_failed_is_said_and_counts_for_nothing() -> None:
    failed = {trial: found for trial, found in RESULTS.items() if trial != Trial("b", 1, 0)}
    expected: dict[str, Any] = summarise(failed, rows=200)
    expected["b"]["failed"] = [{"seed": 1, "fold": 0, "reason": "why"}]
    assert summarise({**RESULTS, Trial("b", 1, 0): InputError("why")}, rows=200) == expected


def test_nothing_differs_from_a_variant_that_has_failed_altogether() -> None:
    outcomes: dict[Trial, Any] = {
        trial: InputError("why") if trial.variant == "a" else found
        for trial, found in RESULTS.items()
    }
    summary = summarise(outcomes, rows=200)
    assert list(summary) == ["a", "b"]
    assert summary["a"].keys() == {"trials", "failed"}
    assert summary["b"].keys() == {"trials", "accuracy"}


def test_the_mean_test_accuracy_has_the_interval_that_its_images_allow() -> None:
    looked_at = {
        Trial("a", seed, 0): replace(result(5), test_rows=1000, test_errors=20 + seed)
        for seed in (0, 1)
    }
    summary: dict[str, Any] = summarise(looked_at, rows=200)
    low, high = wilson_interval(979.5, 1000)
    assert summary["a"]["test"] == {"rows": 1000, "mean": 0.9795, "low": low, "high": high}
    assert "test" not in summarise(RESULTS, rows=200)["a"]


def test_the_chart_grows_with_the_variants(tmp_path: Path) -> None:
    heights = []
    for kept in ("", "a", "ab"):
        path = tmp_path / f"{kept}.png"
        draw_study(path, {t: found for t, found in RESULTS.items() if t.variant in kept})
        with Image.open(path) as picture:
            heights.append(picture.height)
    assert heights[2] > heights[1] > heights[0]
