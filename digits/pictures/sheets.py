"""The sheet in a picture: where it lies, and what colour its paper has.

A picture falls into regions that edges bound. The sheet is the smallest one that is about a
rectangle, reaches far both down and across, and has something on it: so it is neither what it lies
on, nor a part of a digit. Where there is none, the paper is what most of the border shows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

COARSE = 200  # pixels of a side, at most, in which regions are looked for
GRAIN = 7  # of those: the side of the median that takes away what is as fine as ruled lines
EDGE = (1.5, 4)  # levels for each of those pixels: the least gradient of an edge, by the greatest
REACH = 0.35  # of the picture, along each axis, that a sheet takes up at least
FILLED = 0.6  # of the smallest rectangle around it that a sheet's paper takes up at least
OBLONG = 0.92  # of the same that a sheet takes up at least, with what is on it
MARK = 40  # levels, at least, as a distance in RGB, by which something stands out from a sheet
MARKED = 0.0005  # of a sheet, at least, that such a thing takes up
RIM = 3  # of the coarse pixels: how broad the edge of a sheet is
TRIED = 8  # regions, the largest ones
TURNS = 24  # of a half circle: the directions in which a region's extent is measured


@dataclass(frozen=True)
class Sheet:
    """A sheet in a picture.

    Attributes:
        paper: its colour at each pixel, shape (height, width, 3), from 0 to 255.
        inside: which pixels are the sheet's, shape (height, width).
    """

    paper: NDArray[np.float64]
    inside: NDArray[np.bool_]


def find_sheet(colours: NDArray[np.float64]) -> Sheet:
    """Return the sheet in a picture, with the surface of degree 2 that fits its paper best.

    Args:
        colours: shape (height, width, 3), from 0 to 255.
    """
    small = Image.fromarray(colours.astype(np.uint8))
    small.thumbnail((COARSE, COARSE))
    coarse = np.asarray(small, np.float64)
    labels = _regions(ndimage.median_filter(coarse, (GRAIN, GRAIN, 1), mode="nearest"))
    region, inside = _choose(coarse, labels)
    height, width = colours.shape[:2]
    whole = Image.fromarray(inside).resize((width, height), Image.Resampling.NEAREST)
    return Sheet(fit_paper(coarse, region, height, width), np.asarray(whole))


def fit_paper(
    colours: NDArray[np.float64], region: NDArray[np.bool_], height: int, width: int
) -> NDArray[np.float64]:
    """Return the surface of degree 2 that fits a region best, shape (height, width, 3).

    Args:
        colours: of a picture of any size, shape (rows, columns, 3).
        region: which of its pixels are fitted, shape (rows, columns).
        height: of the result, which shows all of the picture.
        width: of the same.
    """
    places = _polynomials(*region.shape)[region]
    surface, *_ = np.linalg.lstsq(places, colours[region])
    fitted: NDArray[np.float64] = _polynomials(height, width) @ surface
    return fitted


def _polynomials(height: int, width: int) -> NDArray[np.float64]:
    """Return the terms of a polynomial of degree 2, shape (height, width, 6)."""
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.stack([down**0, down, across, down**2, down * across, across**2], axis=2)


def _choose(
    coarse: NDArray[np.float64], labels: NDArray[np.integer]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return a region of bare paper, and the inside of its sheet, both of shape (height, width).

    Args:
        coarse: colours, shape (height, width, 3).
        labels: the number of each pixel's region, or 0, shape (height, width).
    """
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    smallest, best = np.inf, None
    for label in 1 + np.argsort(-sizes, kind="stable")[:TRIED]:
        region = labels == label
        hull = _find_oblong(region)
        if hull is None or hull.sum() >= smallest:
            continue
        inside = ndimage.binary_erosion(hull, iterations=RIM, border_value=1)
        if _is_marked(coarse, region, inside):
            smallest, best = hull.sum(), (region, inside)
    if best is not None:
        return best
    rim = border(labels)
    most = np.bincount(rim[rim > 0]).argmax() if rim.any() else 1 + sizes.argmax()
    return labels == most, np.full(labels.shape, True)


def _regions(smooth: NDArray[np.float64]) -> NDArray[np.integer]:
    """Return the number of each pixel's region, from 1, or 0 for the edges between them."""
    colours = np.moveaxis(smooth, 2, 0)
    gradients = [ndimage.gaussian_gradient_magnitude(one, 1, mode="nearest") for one in colours]
    steepest = np.max(gradients, axis=0)
    labels, count = ndimage.label(steepest < np.clip(steepest.max() / 4, *EDGE))
    return labels if count else labels + 1


def _find_oblong(region: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return the convex hull of a region that is about a rectangle, and reaches far.

    In none of some directions does the hull reach farther than the region. Two of them that are at
    right angles make the smallest rectangle around it.
    """
    reach = np.array([np.ptp(places) + 1 for places in np.nonzero(region)])
    if (reach < REACH * np.array(region.shape)).any():
        return None
    angles = np.pi * np.arange(2 * TURNS) / TURNS
    directions = np.array([np.sin(angles), np.cos(angles)])
    farthest = (np.argwhere(region) @ directions).max(axis=0) + 0.5
    extents = farthest[:TURNS] + farthest[TURNS:]
    rectangle = (extents * np.roll(extents, TURNS // 2)).min()
    places = np.moveaxis(np.indices(region.shape), 0, -1)
    hull: NDArray[np.bool_] = (places @ directions <= farthest).all(axis=-1)
    is_oblong = region.sum() >= FILLED * rectangle and hull.sum() >= OBLONG * rectangle
    return hull if is_oblong else None


def _is_marked(
    coarse: NDArray[np.float64], region: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> bool:
    """Return whether something lies wholly on a sheet, and stands out from its paper."""
    away = np.linalg.norm(coarse - fit_paper(coarse, region, *region.shape), axis=2)
    labels, _ = ndimage.label(away > max(MARK, otsu(away[inside])), np.ones((3, 3)))
    marks = inside & (labels > 0) & ~np.isin(labels, labels[~inside])
    return bool(marks.sum() >= MARKED * inside.sum())


def border(values: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost pixels of a picture, shape (height, width, …), in one row."""
    return np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])


def otsu(values: NDArray[np.float64]) -> float:
    """Return the threshold that divides values into the two classes with the most variance between.

    Those up to the threshold are one class. It lies in the midst of a gap between the classes. Otsu
    1979, "A threshold selection method from gray-level histograms".
    """
    counts, edges = np.histogram(values, bins=256)
    sums = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    below = np.cumsum(counts)
    above = below[-1] - below
    gap = sums / np.maximum(below, 1) - (sums[-1] - sums) / np.maximum(above, 1)
    variance = below * above * gap**2
    best = np.flatnonzero(np.isclose(variance, variance.max()))
    return float(np.mean(edges[best + 1]))
