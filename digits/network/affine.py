"""Affine maps: where an image that is turned, scaled, sheared or shifted has its pixels from."""

from collections.abc import Callable
from functools import cache
from typing import Any

from digits import exact
from digits.exact import Array, Quantised, namespace, product, quantise
from digits.params import Affine

PLACES = 256  # between two pixels, along each axis: with an image's 8 bits, sampling sums 24
_MAP_BITS, _POSITION_BITS = 13, 9


def _all(lines: Quantised[Array]) -> Quantised[Array]:
    return lines


def move(
    draws: Array,
    side: int,
    params: Affine,
    chosen: Callable[[Quantised[Array]], Quantised[Array]] = _all,
) -> Array:
    """Return where each pixel comes from, in pixels off the centre, shape (rows, 2, pixels).

    Places are scaled along both axes, sheared, turned about the centre and then shifted. How far
    each, draws say, from -1 to 1, shape (6, rows): turn, shear, and two of scale and of shift. Of
    the lines that `maps` returns, two for each row, `chosen` may keep some.
    """
    positions = _positions(side, namespace(draws), draws.device)
    places: Array = product(chosen(maps(draws, params)), positions)
    return places.reshape(-1, 2, side * side)


def maps(draws: Array, params: Affine) -> Quantised[Array]:
    """Return two rows of what x, y and 1 are multiplied by for each move, shape (2 * rows, 3)."""
    xp, draws = namespace(draws), exact.widened(draws)
    sin, cos = exact.sine_and_cosine(draws[0] * (params.rotation / 360))
    shear, (across, down) = draws[1] * params.shear, 1 + draws[2:4] * params.scale
    columns = [cos * across, (cos * shear - sin) * down, draws[4] * params.shift]
    columns += [sin * across, (sin * shear + cos) * down, draws[5] * params.shift]
    return quantise(xp.asarray(xp.stack(columns, 1).reshape(-1, 3), dtype=xp.float32), _MAP_BITS)


@cache
def _positions(side: int, xp: Any, device: object) -> Quantised[Any]:  # noqa: ANN401
    """Return x and y of each pixel, in pixels off the centre, and 1, shape (3, pixels)."""
    places = xp.arange(side, dtype=xp.float32, device=device) - (side - 1) / 2
    down, across = xp.meshgrid(places, places, indexing="ij")
    lines = [across.reshape(-1), down.reshape(-1), xp.ones_like(across).reshape(-1)]
    return quantise(xp.stack(lines), _POSITION_BITS)
