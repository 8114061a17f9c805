"""What a study found: a summary with intervals, and a chart."""

from collections.abc import Mapping
from dataclasses import replace
from math import pi, sqrt
from pathlib import Path
from statistics import fmean, stdev

import torch

from digits import exact
from digits.evaluation.measures import wilson_interval
from digits.report.figures import saved_figure
from studies.design import Trial
from studies.trial import Result

Results = Mapping[Trial, Result]


def corrected_mean(values: Mapping[Trial, float], held_out: float) -> dict[str, float | None]:
    """Return the mean of one value for each trial, with its 95 % interval by Student's t.

    Seeds of one fold see the same rows, so that their mean counts as one value. Folds share rows
    that they train on, so that their deviation alone would promise too much: the variance is
    corrected, by the share of the rows that a training does not see, as Nadeau and Bengio (2003,
    "Inference for the generalization error", section 3) do. With one fold, nobody knows the error.
    """
    mean, error, margin = fmean(values.values()), None, None
    deviation = stdev(values.values()) if len(values) > 1 else None
    folds: dict[int, list[float]] = {}
    for trial, value in values.items():
        folds.setdefault(trial.fold, []).append(value)
    found: dict[str, float | None] = {"mean": mean, "deviation": deviation}
    if (count := len(folds)) == 1:
        return found | dict.fromkeys(("error", "low", "high"))
    error = stdev(map(fmean, folds.values())) * sqrt(1 / count + held_out / (1 - held_out))
    margin = error * quantile(count - 1)
    return found | {"error": error, "low": mean - margin, "high": mean + margin}


def quantile(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t, of arithmetic that is the same anywhere.

    Bisects how often t is nearer to 0 (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4), a series in
    the angle whose tangent is t / sqrt(freedom). SciPy's depends on the machine in its last digits.
    """
    low, high, odd = 0.0, 0.25, freedom % 2
    for _ in range(53):
        turns = (low + high) / 2
        sine, cosine = _sine_and_cosine(turns)
        term, total = cosine if odd else 1.0, 0.0
        for number in range(1 + odd, freedom, 2):
            total += term
            term *= cosine * cosine * number / (number + 1)
        share = 4 * turns + sine * total * 2 / pi if odd else sine * total
        low, high = (turns, high) if share < 0.95 else (low, turns)
    sine, cosine = _sine_and_cosine(low)
    return sqrt(freedom) * sine / cosine


def _sine_and_cosine(turns: float) -> tuple[float, float]:
    sine, cosine = exact.sine_and_cosine(torch.tensor(turns, dtype=torch.float64))
    return sine.item(), cosine.item()


def summarise(results: Results, rows: int) -> dict[str, dict[str, object]]:
    """Return what each variant came to, and the difference of each further one from the first.

    Pairs of trials with the same seed and fold make the difference. `rows` are all labelled ones.
    """
    accuracies = {trial: result.accuracy for trial, result in results.items()}
    first, one = next(iter(results.items()))
    summary: dict[str, dict[str, object]] = {}
    for name, found in by_variant(results).items():
        accuracy = corrected_mean({trial: accuracies[trial] for trial in found}, one.rows / rows)
        summary[name] = {"trials": len(found), "accuracy": accuracy}
        if one.test_rows:
            right = one.test_rows - fmean(result.test_errors for result in found.values())
            low, high = wilson_interval(right, one.test_rows)
            test = {"mean": right / one.test_rows, "low": low, "high": high}
            summary[name]["test"] = {"rows": one.test_rows, **test}
        others = {trial: replace(trial, variant=first.variant) for trial in found}
        pairs = {t: accuracies[t] - accuracies[o] for t, o in others.items() if o in accuracies}
        if name != first.variant:
            difference = corrected_mean(pairs, one.rows / rows)
            summary[name]["difference"] = {"from": first.variant, "pairs": len(pairs), **difference}
    return summary


def by_variant(results: Results) -> dict[str, dict[Trial, Result]]:
    """Return the results of the trials of each variant, in the order of seeds and folds."""
    variants: dict[str, dict[Trial, Result]] = {}
    for trial, result in results.items():
        variants.setdefault(trial.variant, {})[trial] = result
    return variants


def draw_study(path: Path, results: Results) -> None:
    """Draw the accuracy of each trial as a dot, and the mean of each variant as a line."""
    variants = by_variant(results)
    with saved_figure(path, 800, 120 + 60 * len(variants)) as figure:
        axes = figure.subplots()
        for place, found in enumerate(variants.values()):
            values = [result.accuracy for result in found.values()]
            axes.plot(values, [place] * len(values), "o", color="C0", alpha=0.5)
            axes.plot([fmean(values)] * 2, [place - 0.3, place + 0.3], color="black")
        axes.set_yticks(range(len(variants)), list(variants))
        axes.invert_yaxis()  # the first on top
        axes.set_xlabel("accuracy on the rows held out: a dot for each trial, a line for the mean")
        axes.grid(axis="x", alpha=0.3)
