"""What a study found: a summary with intervals, and a chart."""

from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import pandas as pd

from digits.evaluation.comparison import Comparison
from digits.evaluation.measures import wilson_interval
from digits.report.figures import saved_figure

# The two-sided 95 % ones of Student's t, by degrees of freedom: those that SciPy computes depend on
# the machine in their last digits.
QUANTILES = {
    1: 12.706204736174664,
    2: 4.302652729749458,
    3: 3.1824463052837046,
    4: 2.7764451051977903,
    5: 2.5705818356363124,
    6: 2.4469118511449675,
    7: 2.364624251592782,
    8: 2.306004135204166,
    9: 2.262157162798203,
}


CHANGES = ["fixed", "broken"]  # rows, between a variant and the one before


def corrected_mean(values: "pd.Series[float]", held_out: float) -> dict[str, float | None]:
    """Return the mean of one value for each trial, with its 95 % interval by Student's t.

    Seeds of one fold see the same rows, so that their mean counts as one value. Folds share rows
    that they train on, so that their deviation alone would promise too much: the variance is
    corrected, by the share of the rows that a training does not see, as Nadeau and Bengio (2003,
    "Inference for the generalization error", section 3) do. With one fold, nobody knows the error.
    """
    mean, found = fmean(values), [fmean(seeds) for _, seeds in values.groupby("fold")]
    result = {"mean": mean, "deviation": stdev(values.tolist()) if len(values) > 1 else None}
    if len(found) == 1:
        return result | dict.fromkeys(("error", "low", "high"))
    error = stdev(found) * sqrt(1 / len(found) + held_out / (1 - held_out))
    margin = error * QUANTILES[len(found) - 1]
    return result | {"error": error, "low": mean - margin, "high": mean + margin}


def accuracies(table: pd.DataFrame) -> "pd.Series[float]":
    """Return the share of the held-out rows that are right, by variant, seed and fold."""
    trials = table.set_index(["variant", "seed", "fold"])
    return (trials["rows"] - trials["errors"]) / trials["rows"]


def summarise(table: pd.DataFrame, rows: int) -> dict[str, dict[str, object]]:
    """Return what each variant came to, and its difference from the one before.

    Pairs of trials with the same seed and fold make the difference. `table` has a row for each
    trial; `rows` are all labelled ones. What was trained on all of them has no accuracy.
    """
    values, one = accuracies(table), table.iloc[0]
    before, held_out, tested = None, one["rows"] / rows, int(one["test_rows"])
    summary: dict[str, dict[str, object]] = {}
    for name, trials in table.groupby("variant", sort=False):
        own = values.xs(name)
        found: dict[str, object] = {"trials": len(own)}
        if trials["rows"].all():
            found["accuracy"] = corrected_mean(own, held_out)
        if tested:
            right = tested - fmean(trials["test_errors"])
            low, high = wilson_interval(right, tested)
            found["test"] = {"rows": tested, "mean": right / tested, "low": low, "high": high}
        if before is not None and len(pairs := (own - values.xs(before)).dropna()):
            difference = corrected_mean(pairs, held_out) | count_changes(trials)
            found["difference"] = {"from": before, "pairs": len(pairs), **difference}
        before, summary[str(name)] = name, found
    return summary


def count_changes(trials: pd.DataFrame) -> dict[str, float | None]:
    """Return how many rows a variant's first seed has right that the one before had not, and v. v.

    And how likely chance alone is to divide them at least so unevenly: McNemar's exact test.
    """
    fixed, broken = (int(count) for count in trials[trials["seed"] == 0][CHANGES].sum())
    p_value = Comparison(0, fixed, broken, 0).p_value
    return {"fixed": fixed, "broken": broken, "p_value": float(f"{p_value:.2g}")}


def draw_study(path: Path, table: pd.DataFrame) -> None:
    """Draw the accuracy of each trial as a dot, and the mean of each variant as a line."""
    variants = accuracies(table).groupby("variant", sort=False)
    with saved_figure(path, 800, 120 + 60 * len(variants)) as figure:
        axes = figure.subplots()
        for place, (_, values) in enumerate(variants):
            axes.plot(values, [place] * len(values), "o", color="C0", alpha=0.5)
            axes.plot([fmean(values)] * 2, [place - 0.3, place + 0.3], color="black")
        axes.set_yticks(range(len(variants)), table["variant"].unique())
        axes.invert_yaxis()  # the first on top
        axes.set_xlabel("accuracy on the rows held out: a dot for each trial, a line for the mean")
        axes.grid(axis="x", alpha=0.3)
