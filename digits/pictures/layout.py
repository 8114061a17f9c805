"""Ink shared out among the digits that it is of, in reading order.

Strokes that come close to each other are of one digit, and so is what is small beside a large one.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CLOSE = 0.1  # of the largest stroke's length: what lies closer to each other is of one digit
LARGE = 0.4  # of the largest digit's length that another has at least
BESIDE = 0.35  # of the same: how far small strokes lie at most from the digit that they are of
CLEAR = 0.2  # of the same: how far digits lie apart that are several by themselves
ALIKE = 0.6  # of the largest digit's length that those have

Box = tuple[slice, ...]  # rows and columns
Inked = tuple[Box, NDArray[np.float64]]


def share_out(ink: NDArray[np.float64], *, sheet: bool = False) -> list[Inked]:
    """Return the digits of a picture in reading order: one, unless several lie clearly apart.

    Of each, where it lies, and the ink of that box and of what is close around it.

    Args:
        ink: shape (height, width), from 0 to 1, and somewhere above 1/2.
        sheet: take as digits of their own whatever is large and does not touch.
    """
    groups, boxes = _group(ink > 0.5)
    longest = max(map(_length, boxes))
    owners = _find_owners(boxes, longest)
    large = np.unique(owners[owners > 0])
    if not sheet and not _are_clear([boxes[label - 1] for label in large], longest):
        owners[owners > 0] = large[0]
    # Pale ink goes with what is nearest to it.
    distance, nearest = ndimage.distance_transform_edt(groups == 0, return_indices=True)
    reach = CLOSE * longest + 1
    digits = owners[groups]
    of = np.where(distance <= reach, digits[tuple(nearest)], 0)
    found = []
    for label, box in enumerate(ndimage.find_objects(digits), 1):
        if box:
            sides = ((side.start - int(reach) - 1, side.stop + int(reach) + 1) for side in box)
            near = tuple(slice(max(start, 0), stop) for start, stop in sides)
            found.append((box, np.where(of == label, ink, 0)[near]))
    return _in_reading_order(found)


def _group(strong: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[Box]]:
    """Return the number of each pixel's group of strokes, or 0, and where each group lies."""
    strokes, _ = ndimage.label(strong, np.ones((3, 3)))
    reach = CLOSE * max(map(_length, ndimage.find_objects(strokes))) / 2
    near, _ = ndimage.label(ndimage.distance_transform_edt(~strong) <= reach, np.ones((3, 3)))
    groups = np.where(strong, near, 0)
    return groups, ndimage.find_objects(groups)


def _length(box: Box) -> int:
    return max(int(side.stop - side.start) for side in box)


def _gap(one: Box, other: Box) -> int:
    """Return the distance between two boxes, along the axis where it is larger."""
    sides = zip(one, other, strict=True)
    return max(int(max(a.start, b.start) - min(a.stop, b.stop)) for a, b in sides)


def _find_owners(boxes: list[Box], longest: int) -> NDArray[np.int64]:
    """Return the large group that each group is of, by its number; 0 if it lies far from all."""
    owners = np.zeros(len(boxes) + 1, np.int64)
    large = [label for label, box in enumerate(boxes, 1) if _length(box) >= LARGE * longest]
    for label, box in enumerate(boxes, 1):
        gaps = {one: _gap(box, boxes[one - 1]) for one in large}
        nearest = label if label in large else min(gaps, key=gaps.__getitem__)
        if gaps[nearest] <= BESIDE * longest:
            owners[label] = nearest
    return owners


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
