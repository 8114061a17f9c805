"""Ink on paper, told apart: light on dark or dark on light, in any colours, unevenly lit."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from digits.pictures.sheets import find_sheet, otsu

LEAST_CONTRAST = 8  # between the colours of paper and ink, as their distance in RGB
FULL = 0.9  # of the ink is at most as dark as counts as wholly ink
GRAIN = 3  # deviations of the paper's noise that still count as paper
TO_DEVIATION = 1.4826  # from the median of the distances, in a normal distribution
LEFT = 0.08  # of the picture's longer side: the least length of ink that is left
LINE = 3  # pixels: ruled lines are narrower
HALO = 3  # pixels around what is tied to the border, in which it still shows


class BlankError(Exception):
    """No ink stands out from the paper."""


def find_ink(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of each pixel is ink, from 0 to 1, shape (height, width).

    That is its place between the paper's colour and the ink's, which is the mean colour of what
    differs from the paper by more than Otsu's threshold. What is not on the sheet has none.

    Args:
        colours: shape (height, width, 3), from 0 to 255.

    Raises:
        BlankError: no ink stands out from the paper and its noise.
    """
    sheet = find_sheet(colours)
    away = colours - sheet.paper
    distance = np.linalg.norm(away, axis=2)
    on = _without_border(distance, sheet.inside)
    _check_contrast(np.ptp(distance[on]))
    direction = away[on & (distance > otsu(distance[on]))].mean(axis=0)
    _check_contrast(np.linalg.norm(direction))
    height = away @ (direction / np.linalg.norm(direction))
    _check_contrast(np.ptp(height[on]))
    is_ink = height > otsu(height[on])
    paper = GRAIN * TO_DEVIATION * np.median(np.abs(height[on & ~is_ink]))
    level = np.quantile(height[on & is_ink], FULL)
    _check_contrast(level - 2 * paper)
    ink: NDArray[np.float64] = np.clip((height - paper) / (level - paper), 0, 1) * on
    return ink


def _without_border(distance: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a sheet without the ink that is tied to its border, if more than lines are left."""
    strong = inside & (distance > otsu(distance[inside]))
    labels, _ = ndimage.label(strong, np.ones((3, 3)))
    rim = inside & ~ndimage.binary_erosion(inside)
    tied = strong & np.isin(labels, labels[rim])
    broad = ndimage.binary_opening(strong & ~tied, np.full((LINE, LINE), True))
    left = ndimage.find_objects(ndimage.label(broad, np.ones((3, 3)))[0])
    lengths = [max(axis.stop - axis.start for axis in place) for place in left]
    if max(lengths, default=0) < LEFT * max(inside.shape):
        return inside
    without: NDArray[np.bool_] = inside & ~ndimage.binary_dilation(tied, iterations=HALO)
    return without


def _check_contrast(levels: np.floating) -> None:
    if levels < LEAST_CONTRAST:
        raise BlankError("blank")
