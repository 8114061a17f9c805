"""Line charts of the page: what is on them; web/chart.html draws them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import ceil, floor
from typing import NamedTuple

import pandas as pd

TICKS = 5  # about
ROUNDING = 1e-9
LEAST_SHARE = 1e-4  # where the axes of the reliability diagram begin


class Axis(NamedTuple):
    """One axis, from `low`, above 0 where it is logarithmic, to `high`, above `low`."""

    title: str  # what it counts, and in what unit
    low: float
    high: float
    logarithmic: bool = False  # equal steps are equal factors
    whole: bool = False  # only whole numbers are on it

    def place(self, value: float) -> float:
        """Return where a value lies, from 0, the start, to 1; values beyond an end lie there."""
        within = min(max(value, self.low), self.high)
        if self.logarithmic:
            return _log10(within / self.low) / _log10(self.high / self.low)
        return (within - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return round values along the axis."""
        if self.logarithmic:
            powers = _between(_log10(self.low), _log10(self.high))
            return [float(f"1e{power}") for power in powers]
        size = self.high - self.low
        magnitude = float(f"1e{Decimal(size / TICKS).adjusted()}")
        steps = (magnitude * factor for factor in (1, 2, 5, 10))
        step = min(steps, key=lambda step: abs(size / step - TICKS))
        step = max(step, 1.0) if self.whole else step
        return [tick * step for tick in _between(self.low / step, self.high / step)]


def _log10(value: float) -> float:
    """Return the logarithm, of `decimal`: the last bit of `math`'s differs between machines."""
    return float(Decimal(value).log10())


def _between(low: float, high: float) -> range:
    """Return the whole numbers from `low` to `high`, those at an end but for rounding as well."""
    return range(ceil(low - ROUNDING), floor(high + ROUNDING) + 1)


class Chart(NamedTuple):
    """One or two series of points, across and up, by name; a screen reader says the title first."""

    title: str
    across: Axis
    up: Axis
    series: Mapping[str, Sequence[tuple[float, float]]]
    even: bool = False  # with a line where both axes are equal, and none through the points


def chart_losses(curves: pd.DataFrame) -> Chart:
    """Return the losses, in nats, by epoch."""
    names = {"training_loss": "training, as minimised", "validation_loss": "validation"}
    series = {name: list(enumerate(curves[column], start=1)) for column, name in names.items()}
    ends = (f"{name} {one[0][1]:.3g}, then {one[-1][1]:.3g}" for name, one in series.items())
    up = Axis("loss (nats)", 0.0, float(curves[[*names]].to_numpy().max()) or 1.0)
    return Chart(f"Loss by epoch: {'; '.join(ends)}", _epochs(curves), up, series)


def chart_accuracy(curves: pd.DataFrame) -> Chart:
    """Return the accuracy by epoch."""
    points = list(enumerate(curves["validation_accuracy"], start=1))
    up = Axis("accuracy", min(int(min(y for _, y in points) * 100) / 100, 0.99), 1.0)
    title = f"Validation accuracy by epoch: {points[0][1]:.4f}, then {points[-1][1]:.4f}"
    return Chart(title, _epochs(curves), up, {"validation accuracy": points})


def _epochs(curves: pd.DataFrame) -> Axis:
    return Axis("epoch", 1.0, float(max(len(curves), 2)), whole=True)


def chart_reliability(bins: pd.DataFrame) -> Chart:
    """Return the reliability diagram, of errors: as many as are expected, and as there are."""
    across, up = (
        Axis(f"share of errors that it {does}", LEAST_SHARE, 1.0, logarithmic=True)
        for does in ("expects", "makes")
    )
    series = {
        name: list(zip(1 - bins[f"{kind}_confidence"], 1 - bins[f"{kind}_accuracy"], strict=True))
        for name, kind in (("as they are", "raw"), ("scaled", "scaled"))
    }
    return Chart("Errors expected and made", across, up, series, even=True)
