"""Line charts as SVG, whose colours and letters are those of the page that they stand in."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from math import ceil, floor

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 34, 46  # between the edges and the plot
TICKS = 5  # about
ROUNDING = 1e-9


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        title: what it counts, and in what unit.
        low: the value at its start; above 0 where it is logarithmic.
        high: the value at its end, above `low`.
        logarithmic: whether equal steps are equal factors.
        whole: whether only whole numbers are on it.
    """

    title: str
    low: float
    high: float
    logarithmic: bool = False
    whole: bool = False

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
        magnitude = float(f"1e{Decimal((self.high - self.low) / TICKS).adjusted()}")
        steps = (magnitude * factor for factor in (1, 2, 5, 10))
        step = min(steps, key=lambda step: abs((self.high - self.low) / step - TICKS))
        step = max(step, 1.0) if self.whole else step
        return [tick * step for tick in _between(self.low / step, self.high / step)]


def _log10(value: float) -> float:
    """Return the logarithm, of `decimal`: the last bit of `math`'s differs between machines."""
    return float(Decimal(value).log10())


def _between(low: float, high: float) -> range:
    """Return the whole numbers from `low` to `high`, those at an end but for rounding as well."""
    return range(ceil(low - ROUNDING), floor(high + ROUNDING) + 1)


@dataclass(frozen=True)
class Series:
    """Points of one kind.

    Attributes:
        name: in the legend.
        points: across and up.
        joined: whether a line goes through them.
    """

    name: str
    points: Sequence[tuple[float, float]]
    joined: bool = True


def draw_chart(
    title: str, across: Axis, up: Axis, series: Sequence[Series], *, even: bool = False
) -> str:
    """Return a chart of one or two series.

    Args:
        title: what a screen reader says first.
        across: the axis at the bottom.
        up: the axis on the left.
        series: drawn in the classes `first` and `second` of a style sheet.
        even: whether to draw the line on which both axes are equal, from corner to corner.
    """
    parts = [*_grid(across, up), *([_even(across, up)] if even else [])]
    for place, (kind, one) in enumerate(zip(("first", "second"), series, strict=False)):
        parts += _draw_series(one, kind, across, up)
        # In the words' own place, above the plot, so that no point hides them.
        parts.append(_text(LEFT + 4 + place * 170, TOP - 12, one.name, f'class="{kind}"'))
    drawn = "".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{drawn}</svg>'
    )


def _at(across: Axis, up: Axis, point: tuple[float, float]) -> tuple[str, str]:
    """Return where a point is drawn, to a tenth of a pixel."""
    x = LEFT + across.place(point[0]) * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - up.place(point[1]) * (HEIGHT - TOP - BOTTOM)
    return f"{x:.1f}", f"{y:.1f}"


def _text(x: float, y: float, words: str, attributes: str = "") -> str:
    return f'<text x="{x}" y="{y}" {attributes}>{escape(words)}</text>'


def _grid(across: Axis, up: Axis) -> list[str]:
    """Return the ticks' lines and numbers, and the titles of the axes."""
    parts = []
    for tick in across.ticks():
        x, _ = _at(across, up, (tick, up.low))
        parts.append(_text(float(x), HEIGHT - BOTTOM + 18, f"{tick:g}", 'text-anchor="middle"'))
    for tick in up.ticks():
        _, y = _at(across, up, (across.low, tick))
        parts.append(_line("grid", (f"{LEFT}", y), (f"{WIDTH - RIGHT}", y)))
        parts.append(_text(LEFT - 8, float(y) + 4, f"{tick:.6g}", 'text-anchor="end"'))
    parts.append(
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, across.title, 'text-anchor="middle"')
    )
    turned = f'text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2:g})"'
    parts.append(_text(14, HEIGHT / 2, up.title, turned))
    return parts


def _even(across: Axis, up: Axis) -> str:
    low, high = max(across.low, up.low), min(across.high, up.high)
    return _line("even", _at(across, up, (low, low)), _at(across, up, (high, high)))


def _line(kind: str, start: tuple[str, str], end: tuple[str, str]) -> str:
    return f'<line class="{kind}" x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}"/>'


def _draw_series(series: Series, kind: str, across: Axis, up: Axis) -> list[str]:
    places = [_at(across, up, point) for point in series.points]
    parts = []
    if series.joined and len(places) > 1:
        points = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline class="line {kind}" points="{points}"/>')
    for (x, y), (left, right) in zip(places, series.points, strict=True):
        words = f"<title>{escape(series.name)}: {left:.4g}, {right:.4g}</title>"
        parts.append(f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="4">{words}</circle>')
    return parts
