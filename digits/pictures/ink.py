"""Ink on paper, told apart: light on dark or dark on light, in any colours, unevenly lit.

A picture falls into regions that edges bound. The sheet is the smallest one that is about a
rectangle, reaches far both down and across, and has something on it: so it is neither what it lies
on, nor a part of a digit. Where there is none, the paper is what most of the border shows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

LEAST_CONTRAST = 8  # between the colours of paper and ink, as their distance in RGB
FULL = 0.9  # of the ink is at most as dark as counts as wholly ink
NOISE = 4.5  # times the median distance of paper from its colour: still paper

COARSE = 200  # pixels of a side, at most, in which regions are looked for
GRAIN = 7  # of those: the side of the median that takes away what is as fine as ruled lines
EDGE = (1.5, 4)  # levels for each of those pixels: the least gradient of an edge, by the greatest
REACH = 0.35  # of the picture, along each axis, that a sheet takes up at least
FILLED = 0.6  # of the smallest rectangle around it that a sheet's paper takes up at least
OBLONG = 0.84  # of the same that a sheet takes up at least, with what is on it
MARK = 40  # levels, at least, as a distance in RGB, by which something stands out from a sheet
MARKED = 0.0005  # of a sheet, at least, that such a thing takes up
RIM = 3  # of the coarse pixels: how broad the edge of a sheet is
TRIED = 8  # regions, the largest ones
TURNS = 24  # of a half circle: the directions in which a region's extent is measured
TOUCHING = np.ones((3, 3))  # pixels, by a side or a corner

Colours = NDArray[np.float64]  # from 0 to 255, shape (height, width, 3)
Mask = NDArray[np.bool_]


class BlankError(Exception):
    """No ink stands out from the paper."""


def find_ink(colours: Colours) -> NDArray[np.float64]:
    """Return how much of each pixel is ink, from 0 to 1, shape (height, width).

    That is how far its colour lies from the paper's, beyond noise, by how far that of most of the
    ink does, which lies beyond Otsu's threshold. What is not on the sheet has none. `BlankError`
    where no ink stands out from the paper and its noise.
    """
    paper, inside = find_sheet(colours)
    distance = np.linalg.norm(colours - paper, axis=2)
    strong = inside & (distance > otsu(distance[inside]))
    if not strong.any():
        raise BlankError("blank")
    noise = NOISE * np.median(distance[inside & ~strong])
    level = np.quantile(distance[strong], FULL)
    if level - 2 * noise < LEAST_CONTRAST:
        raise BlankError("blank")
    ink: NDArray[np.float64] = np.clip((distance - noise) / (level - noise), 0, 1) * inside
    return ink


def find_sheet(colours: Colours) -> tuple[Colours, Mask]:
    """Return the colour of a sheet's paper at each pixel, and which pixels are the sheet's.

    The paper is the surface of degree 2 that fits best what is bare of it.
    """
    small = Image.fromarray(colours.astype(np.uint8))
    small.thumbnail((COARSE, COARSE))
    coarse = np.asarray(small, np.float64)
    smooth = np.asarray(small.filter(ImageFilter.MedianFilter(GRAIN)), np.float64)
    bare, inside = _choose(coarse, _regions(smooth))
    height, width = colours.shape[:2]
    whole = Image.fromarray(inside).resize((width, height), Image.Resampling.NEAREST)
    return _fit_paper(coarse, bare, height, width), np.asarray(whole)


def _fit_paper(colours: Colours, bare: Mask, height: int, width: int) -> Colours:
    """Return the surface that fits some pixels of a picture best, in a picture of another size."""
    surface, *_ = np.linalg.lstsq(_polynomials(*bare.shape)[bare], colours[bare])
    fitted: Colours = _polynomials(height, width) @ surface
    return fitted


def _polynomials(height: int, width: int) -> NDArray[np.float64]:
    """Return the terms of a polynomial of degree 2, shape (height, width, 6)."""
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.stack([down**0, down, across, down**2, down * across, across**2], axis=2)


def _regions(smooth: Colours) -> NDArray[np.integer]:
    """Return the number of each pixel's region, from 1, or 0 for the edges between them."""
    gradients = ndimage.gaussian_gradient_magnitude(smooth, 1, mode="nearest", axes=(0, 1))
    steepest = gradients.max(axis=2)
    labels, count = ndimage.label(steepest < np.clip(steepest.max() / 4, *EDGE))
    return labels if count else labels + 1


def _choose(coarse: Colours, labels: NDArray[np.integer]) -> tuple[Mask, Mask]:
    """Return a region of bare paper, and the inside of its sheet."""
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    found = []
    for label in 1 + np.argsort(-sizes, kind="stable")[:TRIED]:
        region = labels == label
        sheet = ndimage.binary_fill_holes(region)
        inside = ndimage.binary_erosion(sheet, iterations=RIM, border_value=1)
        if _is_oblong(region, sheet) and _is_marked(coarse, region, inside):
            found.append((region, inside))
    if found:
        return min(found, key=lambda sheet: sheet[1].sum())
    rim = border(labels)
    most = np.bincount(rim[rim > 0]).argmax() if rim.any() else 1 + sizes.argmax()
    return labels == most, np.full(labels.shape, True)


def _is_oblong(region: Mask, sheet: Mask) -> bool:
    """Return whether a region is about a rectangle, but for what is on it, and reaches far.

    Two of some directions that are at right angles make the smallest rectangle around it.
    """
    angles = np.pi * np.arange(TURNS) / TURNS
    extents = np.ptp(np.argwhere(region) @ [np.sin(angles), np.cos(angles)], axis=0) + 1
    rectangle = (extents * np.roll(extents, TURNS // 2)).min()
    reaches = (extents[[TURNS // 2, 0]] >= REACH * np.array(region.shape)).all()
    is_filled = region.sum() >= FILLED * rectangle and sheet.sum() >= OBLONG * rectangle
    return bool(reaches and is_filled)


def _is_marked(coarse: Colours, bare: Mask, inside: Mask) -> bool:
    """Return whether something lies wholly on a sheet, and stands out from its paper."""
    away = np.linalg.norm(coarse - _fit_paper(coarse, bare, *bare.shape), axis=2)
    labels, _ = ndimage.label(away > max(MARK, otsu(away[inside])), TOUCHING)
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
