"""Ink on paper, told apart: light on dark or dark on light, in any colours, unevenly lit.

Threshold: Otsu 1979, "A threshold selection method from gray-level histograms".
"""

import numpy as np
from numpy.typing import NDArray

LEAST_CONTRAST = 8  # between the colours of paper and ink, as their distance in RGB
FULL = 0.9  # of the ink is at most as dark as counts as wholly ink
GRAIN = 3  # deviations of the paper's noise that still count as paper
TO_DEVIATION = 1.4826  # from the median of the distances, in a normal distribution
ROUNDS = 10  # of fitting the paper
FITTED = 60  # pixels of a side, about, to which the paper is fitted


class BlankError(Exception):
    """No ink stands out from the paper."""


def find_ink(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of each pixel is ink, from 0 to 1, shape (height, width).

    That is its place between the paper's colour and the ink's, which is the mean colour of what
    differs from the paper by more than Otsu's threshold.

    Args:
        colours: shape (height, width, 3), from 0 to 255.

    Raises:
        BlankError: no ink stands out from the paper and its noise.
    """
    away = colours - fit_paper(colours)
    distance = np.linalg.norm(away, axis=2)
    _check_contrast(np.ptp(distance))
    direction = away[distance > otsu(distance)].mean(axis=0)
    _check_contrast(np.linalg.norm(direction))
    height = away @ (direction / np.linalg.norm(direction))
    _check_contrast(np.ptp(height))
    is_ink = height > otsu(height)
    paper = GRAIN * TO_DEVIATION * np.median(np.abs(height[~is_ink]))
    level = np.quantile(height[is_ink], FULL)
    _check_contrast(level - 2 * paper)
    ink: NDArray[np.float64] = np.clip((height - paper) / (level - paper), 0, 1)
    return ink


def _check_contrast(levels: np.floating) -> None:
    if levels < LEAST_CONTRAST:
        raise BlankError("blank")


def border(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the outermost pixels of a picture, shape (height, width, …), in one row."""
    return np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])


def fit_paper(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colour of the paper at each pixel, in the shape of `colours`.

    At first it is the median of the border. What is closer to it than Otsu's threshold is paper. A
    surface of degree 2 that is fitted to that is closer to it where the light is uneven; and so on.
    """
    terms = _polynomials(*colours.shape[:2])
    step = max(colours.shape) // FITTED + 1
    some, places = colours[::step, ::step], terms[::step, ::step]
    fitted = np.median(border(colours), axis=0) * places[..., :1]
    for _ in range(ROUNDS):
        distance = np.linalg.norm(some - fitted, axis=2)
        paper = distance <= otsu(distance)
        surface, *_ = np.linalg.lstsq(places[paper], some[paper])
        fitted = places @ surface
    whole: NDArray[np.float64] = terms @ surface
    return whole


def _polynomials(height: int, width: int) -> NDArray[np.float64]:
    """Return the terms of a polynomial of degree 2, shape (height, width, 6); the first is 1."""
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.stack([down**0, down, across, down**2, down * across, across**2], axis=2)


def otsu(values: NDArray[np.float64]) -> float:
    """Return the threshold that divides values into the two classes with the most variance between.

    Those up to the threshold are one class. It lies in the midst of a gap between the classes.
    """
    counts, edges = np.histogram(values, bins=256)
    sums = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    below = np.cumsum(counts)
    above = below[-1] - below
    gap = sums / np.maximum(below, 1) - (sums[-1] - sums) / np.maximum(above, 1)
    variance = below * above * gap**2
    best = np.flatnonzero(np.isclose(variance, variance.max()))
    return float(np.mean(edges[best + 1]))
