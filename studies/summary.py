"""What a study found: a summary with intervals, and a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import pi, sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import TypeVar

import torch

from digits import exact
from digits.errors import InputError
from digits.evaluation.measures import wilson_interval
from digits.report.figures import saved_figure
from studies.design import Trial
from studies.trial import Result

Results = Mapping[Trial, Result]
Failures = dict[Trial, InputError]
Outcomes = Mapping[Trial, Result | InputError]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Mean:
    """A mean over trials, and how sure it is; with one fold only, nobody knows how sure.

    Attributes:
        mean: of accuracies, or of their differences.
        deviation: standard deviation between trials, unless there is one only.
        error: standard error of the mean, for rows that were drawn anew.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    mean: float
    deviation: float | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None


def corrected_mean(values: Mapping[Trial, float], held_out: float) -> Mean:
    """Return the mean of one value for each trial, with its interval over folds by Student's t.

    Seeds of one fold see the same rows, so that their mean counts as one value. Folds share rows
    that they train on, so that their deviation alone would promise too much: the variance is
    corrected as Nadeau and Bengio (2003, "Inference for the generalization error", section 3) do.

    Args:
        values: of each trial.
        held_out: the share of the rows that a training does not see, from 0 to below 1.
    """
    mean = fmean(values.values())
    deviation = stdev(values.values()) if len(values) > 1 else None
    folds = {
        trial.fold: [values[one] for one in values if one.fold == trial.fold] for trial in values
    }
    means, count = [fmean(found) for found in folds.values()], len(folds)
    if count < 2:
        return Mean(mean, deviation)
    error = stdev(means) * sqrt(1 / count + held_out / (1 - held_out))
    margin = error * quantile(count - 1)
    return Mean(mean, deviation, error, mean - margin, mean + margin)


def quantile(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t, of arithmetic that is the same anywhere.

    Args:
        freedom: degrees of it, at least 1.
    """
    low, high = 0.0, 0.25  # turns, of the angle whose tangent is t / sqrt(freedom)
    for _ in range(53):
        middle = (low + high) / 2
        low, high = (middle, high) if _share_within(middle, freedom) < 0.95 else (low, middle)
    sine, cosine = _sine_and_cosine(low)
    return sqrt(freedom) * sine / cosine


def _share_within(turns: float, freedom: int) -> float:
    """Return how often t is nearer to 0 (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    sine, cosine = _sine_and_cosine(turns)
    odd = freedom % 2
    term, total = cosine if odd else 1.0, 0.0
    for number in range(1 + odd, freedom, 2):
        total += term
        term *= cosine * cosine * number / (number + 1)
    return 4 * turns + sine * total * 2 / pi if odd else sine * total


def _sine_and_cosine(turns: float) -> tuple[float, float]:
    sine, cosine = exact.sine_and_cosine(torch.tensor(turns, dtype=torch.float64))
    return sine.item(), cosine.item()


def split(outcomes: Mapping[Trial, Found | InputError]) -> tuple[dict[Trial, Found], Failures]:
    """Return what trials came to, and why others have failed."""
    failed = {key: one for key, one in outcomes.items() if isinstance(one, InputError)}
    return {key: one for key, one in outcomes.items() if not isinstance(one, InputError)}, failed


def check(outcomes: Mapping[Trial, Found | InputError]) -> dict[Trial, Found]:
    """Return what all trials came to.

    Raises:
        InputError: some have failed; it says where and why the first one did.
    """
    results, failed = split(outcomes)
    for trial, reason in failed.items():
        where = f"variants.{trial.variant}, seed {trial.seed}, fold {trial.fold}"
        raise InputError(f"{where}: {reason} ({len(failed)} of {len(outcomes)} trials failed)")
    return results


def summarise(outcomes: Outcomes, rows: int) -> dict[str, dict[str, object]]:
    """Return what each variant came to, and the difference of each further one from the first.

    A variant that has failed altogether has no accuracy, and nothing differs from it.

    Args:
        outcomes: of all trials of a study.
        rows: labelled rows, held out or not.
    """
    results, failed = split(outcomes)
    variants: dict[str, Results] = {name: {} for name in by_variant(outcomes)}
    variants |= by_variant(results)
    first, *others = variants
    summary = {name: _summarise(found, rows) for name, found in variants.items()}
    for name in others:
        if pairs := _differences(variants[name], variants[first]):
            held_out = next(iter(results.values())).rows / rows
            difference = asdict(corrected_mean(pairs, held_out))
            summary[name]["difference"] = {"from": first, "pairs": len(pairs), **difference}
    for name, reasons in by_variant(failed).items():
        summary[name]["failed"] = [
            {"seed": trial.seed, "fold": trial.fold, "reason": str(why)}
            for trial, why in reasons.items()
        ]
    return summary


def _summarise(found: Results, rows: int) -> dict[str, object]:
    if not found:
        return {"trials": 0}
    accuracies = {trial: result.accuracy for trial, result in found.items()}
    held_out = next(iter(found.values())).rows / rows
    accuracy = asdict(corrected_mean(accuracies, held_out))
    return {"trials": len(found), "accuracy": accuracy, **_summarise_test(list(found.values()))}


def _differences(found: Results, first: Results) -> dict[Trial, float]:
    """Return how much better a variant's trials are than the first one's of that seed and fold."""
    pairs = {(trial.seed, trial.fold): result.accuracy for trial, result in first.items()}
    return {
        trial: result.accuracy - pairs[trial.seed, trial.fold]
        for trial, result in found.items()
        if (trial.seed, trial.fold) in pairs
    }


def _summarise_test(found: Sequence[Result]) -> dict[str, object]:
    """Return the mean test accuracy, with the 95 % interval that the number of images allows."""
    rows = found[0].test_rows
    if not rows:
        return {}
    right = rows - fmean(result.test_errors for result in found)
    low, high = wilson_interval(right, rows)
    return {"test": {"rows": rows, "mean": right / rows, "low": low, "high": high}}


def by_variant(outcomes: Mapping[Trial, Found]) -> dict[str, dict[Trial, Found]]:
    """Return what the trials of each variant came to, in the order of seeds and folds."""
    variants: dict[str, dict[Trial, Found]] = {}
    for trial, outcome in outcomes.items():
        variants.setdefault(trial.variant, {})[trial] = outcome
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
