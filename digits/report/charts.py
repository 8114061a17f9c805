"""Line charts of the page: what is on them; web/chart.html draws them."""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import pandas as pd

PARTS = 5  # of an axis, between its ticks


class Axis(NamedTuple):
    """One axis: what it counts, in what unit, and its ticks, from one end to the other."""

    title: str
    ticks: Sequence[float]

    def place(self, value: float) -> float:
        """Return where a value lies, from 0, the start, to 1; values beyond an end lie there."""
        low, high = self.ticks[0], self.ticks[-1]
        return (min(max(value, low), high) - low) / (high - low)


class Chart(NamedTuple):
    """One or two series of points, across and up, by name; a screen reader says the title first."""

    title: str
    across: Axis
    up: Axis
    series: Mapping[str, Sequence[tuple[float, float]]]
    even: bool = False  # with a line where both axes are equal, and none through the points


def chart_losses(curves: pd.DataFrame) -> Chart:
    """Return the losses, in nats, by epoch."""
    names = {"training_loss": "training", "validation_loss": "validation"}
    most = ceil(curves[[*names]].to_numpy().max() * 10) / 10
    return _by_epoch("Loss (nats)", curves, names, 0.0, most or 1.0)


def chart_accuracy(curves: pd.DataFrame) -> Chart:
    """Return the accuracy by epoch."""
    least = min(floor(curves["validation_accuracy"].min() * 20) / 20, 0.95)
    return _by_epoch("Accuracy", curves, {"validation_accuracy": "validation"}, least, 1.0)


def _by_epoch(
    title: str, curves: pd.DataFrame, names: Mapping[str, str], low: float, high: float
) -> Chart:
    """Return a chart of some columns, by epoch, whose values lie from `low` to `high`."""
    series = {name: list(enumerate(curves[key].tolist(), 1)) for key, name in names.items()}
    ends = (f"{name} {one[0][1]:.4g}, then {one[-1][1]:.4g}" for name, one in series.items())
    step = ceil(len(curves) / PARTS)
    epochs = Axis("epoch", range(0, len(curves) + step, step))
    up = Axis(title, np.linspace(low, high, PARTS + 1).tolist())
    return Chart(f"{title} by epoch: {'; '.join(ends)}", epochs, up, series)


def chart_reliability(bins: pd.DataFrame) -> Chart:
    """Return the reliability diagram, in percent: how sure it is, and how often it is right."""
    percent = bins.drop(columns="rows") * 100
    ticks = np.linspace(min(floor(percent.to_numpy().min() / 10) * 10, 90), 100, PARTS + 1).tolist()
    across, up = (Axis(f"how {does} (%)", ticks) for does in ("sure it is", "often it is right"))
    series = {
        name: list(zip(percent[f"{kind}_confidence"], percent[f"{kind}_accuracy"], strict=True))
        for name, kind in (("uncalibrated", "raw"), ("calibrated", "scaled"))
    }
    return Chart("How often it is right, by how sure it is", across, up, series, even=True)
