"""Ink shared out among the digits that it is of, in reading order.

Strokes that come close to each other are of one digit; what is small beside it is none.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CLOSE = 0.1  # of the largest stroke's length: what lies closer to each other is of one digit
LARGE = 0.4  # of the largest digit's length that another has at least
CLEAR = 0.2  # of the same: how far digits lie apart that are several by themselves
ALIKE = 0.6  # of the largest digit's length that those have

Box = tuple[slice, ...]  # rows and columns
Inked = tuple[Box, NDArray[np.float64]]


def share_out(ink: NDArray[np.float64], *, sheet: bool = False) -> list[Inked]:
    """Return the digits of a picture in reading order: one, unless several lie clearly apart.

    Of each, where it lies, and the ink of that box and of what is close around it. Ink has the
    shape (height, width), from 0 to 1, and somewhere above 1/2. On a `sheet`, whatever is large and
    does not touch is a digit of its own.
    """
    strokes, longest = _group(ink > 0.5)
    boxes = dict(enumerate(ndimage.find_objects(strokes), 1))
    large = {label: box for label, box in boxes.items() if _length(box) >= LARGE * longest}
    strokes = np.where(np.isin(strokes, list(large)), strokes, 0)
    if not sheet and not _are_clear(list(large.values()), longest):
        strokes = np.minimum(strokes, 1)
    # Pale ink goes with what is nearest to it.
    distance, nearest = ndimage.distance_transform_edt(strokes == 0, return_indices=True)
    reach = int(CLOSE * longest) + 1
    of = np.where(distance <= reach, strokes[tuple(nearest)], 0)
    found = []
    for label, box in enumerate(ndimage.find_objects(strokes), 1):
        if box:
            sides = ((max(side.start - reach, 0), side.stop + reach) for side in box)
            near = tuple(slice(*side) for side in sides)
            found.append((box, np.where(of == label, ink, 0)[near]))
    return _in_reading_order(found)


def _group(strong: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Return the number of each pixel's group of strokes, or 0, and the length of the longest."""
    strokes, _ = ndimage.label(strong, np.ones((3, 3)))
    reach = CLOSE * max(map(_length, ndimage.find_objects(strokes))) / 2
    near, _ = ndimage.label(ndimage.distance_transform_edt(~strong) <= reach, np.ones((3, 3)))
    groups = np.where(strong, near, 0)
    return groups, max(map(_length, ndimage.find_objects(groups)))


def _length(box: Box) -> int:
    return max(int(side.stop - side.start) for side in box)


def _gap(one: Box, other: Box) -> int:
    """Return the distance between two boxes, along the axis where it is larger."""
    sides = zip(one, other, strict=True)
    return max(int(max(a.start, b.start) - min(a.stop, b.stop)) for a, b in sides)


def _are_clear(boxes: list[Box], longest: int) -> bool:
    """Return whether these are several digits: about as large as each other, and well apart."""
    apart = all(_gap(one, other) >= CLEAR * longest for one, other in combinations(boxes, 2))
    return apart and all(_length(box) >= ALIKE * longest for box in boxes)


def _in_reading_order(digits: list[Inked]) -> list[Inked]:
    """Return digits row by row, and from left to right; a row ends where the next lies lower."""
    rows: list[list[Inked]] = []
    for digit in sorted(digits, key=lambda one: one[0][0].start + one[0][0].stop):
        down, _ = digit[0]
        bottoms = [box[0].stop for box, _ in rows[-1]] if rows else [0]
        if (down.start + down.stop) / 2 > np.mean(bottoms):
            rows.append([])
        rows[-1].append(digit)
    return [digit for row in rows for digit in sorted(row, key=lambda one: one[0][1].start)]
