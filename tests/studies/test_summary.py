import json
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev, variance
from typing import Any

import pandas as pd
import pytest
from scipy.stats import t as students

from digits.evaluation.measures import wilson_interval
from studies.summary import QUANTILES, corrected_mean, draw_study, summarise
from tests.sandbox import ROOT

TABLE = pd.DataFrame(
    [(variant, seed, fold) for variant in "ab" for seed in (0, 1) for fold in (0, 1)],
    columns=["variant", "seed", "fold"],
).assign(
    rows=100,
    errors=[5, 6, 7, 8, 3, 5, 6, 6],
    test_rows=0,
    test_errors=0,
    fixed=2,
    broken=1,
)


@pytest.mark.parametrize("name", ["steps", "recipes"])
def test_the_committed_rows_give_the_committed_summary_and_chart(tmp_path: Path, name: str) -> None:
    path = ROOT / "studies" / "results" / f"{name}.csv"
    table = pd.read_csv(path)
    told = json.dumps(summarise(table, rows=42_000), indent=2) + "\n"
    assert told == path.with_suffix(".json").read_text()
    draw_study(tmp_path / "drawn.png", table)
    assert (tmp_path / "drawn.png").read_bytes() == path.with_suffix(".png").read_bytes()


def test_the_page_on_studies_shows_what_the_committed_steps_came_to() -> None:
    found: dict[str, Any] = json.loads((ROOT / "studies/results/steps.json").read_text())
    page = (ROOT / "docs/studies.md").read_text(encoding="utf-8")
    for step in found.values():
        cells = [f"{step['accuracy']['mean']:.4f}", "", "", ""]
        if one := step.get("difference"):
            cells[1:] = [
                f"{one['mean']:.4f} ({one['low']:.4f} to {one['high']:.4f})",
                f"{one['fixed']}, {one['broken']}",
                f"{one['p_value']:.2g}",
            ]
        assert " | ".join(cells).rstrip(" |") in page


@pytest.mark.parametrize(
    ("folds", "held_out"),
    [
        ([[0.1], [0.4], [0.2], [0.7], [0.3]], 0),  # without shared rows: Student's own
        ([[0.1], [0.4], [0.2]], 0.5),
        ([[0.1, 0.3], [0.5, 0.3], [0.2, 0.2]], 0.1),  # seeds of a fold are one value
    ],
)
def test_a_mean_has_students_interval_corrected_by_the_share_held_out(
    folds: list[list[float]], held_out: float
) -> None:
    values = [(fold, value) for fold, found in enumerate(folds) for value in found]
    table = pd.DataFrame(values, columns=["fold", "value"]).set_index("fold")["value"]
    means = [fmean(found) for found in folds]
    error = sqrt(variance(means) * (1 / len(folds) + held_out / (1 - held_out)))
    low, high = students.interval(0.95, len(folds) - 1, loc=fmean(means), scale=error)
    deviation = stdev(value for _, value in values)
    expected = {"deviation": deviation, "error": error, "low": low, "high": high}
    found = corrected_mean(table, held_out)
    assert found == pytest.approx({"mean": fmean(means), **expected})


def test_the_quantiles_are_scipys_for_as_many_folds_as_a_study_may_have() -> None:
    expected = {freedom: students.ppf(0.975, freedom) for freedom in range(1, 10)}
    assert pytest.approx(expected, rel=1e-14) == QUANTILES


def test_one_fold_tells_nothing_of_the_error() -> None:
    unknown = dict.fromkeys(("error", "low", "high"))
    one = pd.Series([0.6], pd.Index([0], name="fold"))
    assert corrected_mean(one, 0.2) == {"mean": 0.6, "deviation": None, **unknown}


def test_variants_are_held_against_the_one_before_pair_by_pair() -> None:
    folds = TABLE.assign(errors=[5, 6, 7, 8, 3, 3, 6, 4])  # better by 1.5 % and by 3.5 %
    summary: dict[str, Any] = summarise(folds, rows=200)
    assert list(summary) == ["a", "b"]
    assert (summary["a"]["trials"], summary["a"]["accuracy"]["mean"]) == (4, pytest.approx(0.935))
    assert "difference" not in summary["a"]
    difference = summary["b"]["difference"]
    assert (difference["from"], difference["pairs"]) == ("a", 4)
    assert difference["mean"] == pytest.approx(0.025)
    expected = sqrt(variance([0.015, 0.035]) * (1 / 2 + 0.5 / 0.5))
    assert difference["error"] == pytest.approx(expected)
    assert [difference[name] for name in ("fixed", "broken", "p_value")] == [4, 2, 0.69]


@pytest.mark.parametrize("fewer", ["a", "b"])
def test_variants_are_held_against_the_seeds_that_the_one_before_has_too(fewer: str) -> None:
    kept = TABLE[(TABLE["variant"] != fewer) | (TABLE["seed"] == 1)].reset_index()
    difference: Any = summarise(kept, rows=200)["b"]["difference"]
    assert (difference["pairs"], difference["mean"]) == (2, pytest.approx(0.015))


def test_the_mean_test_accuracy_has_the_interval_that_its_images_allow() -> None:
    table = TABLE[TABLE["fold"] == 0].assign(test_rows=1000, test_errors=[20, 21, 30, 30])
    summary: dict[str, Any] = summarise(table, rows=200)
    low, high = wilson_interval(979.5, 1000)
    assert summary["a"]["test"] == {"rows": 1000, "mean": 0.9795, "low": low, "high": high}
    assert "test" not in summarise(TABLE, rows=200)["a"]
