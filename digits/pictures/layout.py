"""Ink shared out among the digits that it is of, in reading order.

Strokes that come close to each other are of one digit, and so is what is small beside a large one.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CLOSE = 0.1  # of the largest stroke's length: what lies closer to each other is of one digit
LARGE = 0.4  # of the largest digit's length that another has at least
BESIDE = 0.35  # of the same: how far small strokes lie at most from the digit that they are of
CLEAR = 0.2  # of the same: how far digits lie apart that are several by themselves
ALIKE = 0.6  # of the largest digit's length that those have


@dataclass(frozen=True)
class Box:
    """Where a digit lies, in pixels: from `top` and `left` to before `bottom` and `right`."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def length(self) -> int:
        """The longer side."""
        return max(self.bottom - self.top, self.right - self.left)

    def widened(self, margin: int) -> tuple[slice, slice]:
        """Return the rows and columns of the box and of a margin around it, in pixels."""
        return (
            slice(max(self.top - margin, 0), self.bottom + margin),
            slice(max(self.left - margin, 0), self.right + margin),
        )

    def scaled(self, down: float, across: float) -> "Box":
        """Return the box in a picture whose sides are multiplied by these factors."""
        return Box(
            round(self.top * down),
            round(self.left * across),
            round(self.bottom * down),
            round(self.right * across),
        )

    def gap(self, other: "Box") -> int:
        """Return the distance to another box, along the axis where it is larger."""
        down = max(self.top, other.top) - min(self.bottom, other.bottom)
        across = max(self.left, other.left) - min(self.right, other.right)
        return max(down, across)


@dataclass(frozen=True)
class Digit:
    """A digit on a sheet.

    Attributes:
        box: where it lies.
        ink: of that box and what is close around it, from 0 to 1, shape (height, width).
    """

    box: Box
    ink: NDArray[np.float64]


def share_out(ink: NDArray[np.float64], *, sheet: bool = False) -> list[Digit]:
    """Return the digits of a picture in reading order: one, unless several lie clearly apart.

    Args:
        ink: shape (height, width), from 0 to 1, and somewhere above 1/2.
        sheet: take as digits of their own whatever is large and does not touch.
    """
    groups, boxes = _group(ink > 0.5)
    longest = max(box.length for box in boxes.values())
    owner = _find_owners(boxes, longest)
    large = {label: boxes[label] for label in owner.values()}
    if not sheet and not _are_clear(list(large.values()), longest):
        owner = dict.fromkeys(owner, min(large))
    # Pale ink goes with what is nearest to it.
    distance, nearest = ndimage.distance_transform_edt(groups == 0, return_indices=True)
    owners = np.array([owner.get(label, 0) for label in range(max(boxes) + 1)])
    reach = CLOSE * longest + 1
    of = np.where(distance <= reach, owners[groups[tuple(nearest)]], 0)
    digits = []
    for label in set(owner.values()):
        box = _around([boxes[one] for one in owner if owner[one] == label])
        near = box.widened(int(reach) + 1)
        digits.append(Digit(box, np.where(of == label, ink, 0)[near]))
    return in_reading_order(digits)


def _group(strong: NDArray[np.bool_]) -> tuple[NDArray[np.int64], dict[int, Box]]:
    """Return the number of each pixel's group of strokes, or 0, and where each group lies."""
    strokes, _ = ndimage.label(strong, np.ones((3, 3)))
    longest = max(_box(place).length for place in ndimage.find_objects(strokes))
    reach = CLOSE * longest / 2
    near, _ = ndimage.label(ndimage.distance_transform_edt(~strong) <= reach, np.ones((3, 3)))
    groups = np.where(strong, near, 0)
    places = ndimage.find_objects(groups)
    return groups, {label: _box(place) for label, place in enumerate(places, 1)}


def _box(place: tuple[slice, ...]) -> Box:
    down, across = place
    return Box(down.start, across.start, down.stop, across.stop)


def _around(boxes: list[Box]) -> Box:
    return Box(
        min(box.top for box in boxes),
        min(box.left for box in boxes),
        max(box.bottom for box in boxes),
        max(box.right for box in boxes),
    )


def _find_owners(boxes: dict[int, Box], longest: int) -> dict[int, int]:
    """Return the large group that each group is of; those that lie far from all are left out."""
    large = {label: box for label, box in boxes.items() if box.length >= LARGE * longest}
    owner = {label: label for label in large}
    for label in boxes.keys() - large.keys():
        gaps = {one: boxes[label].gap(large[one]) for one in large}
        nearest = min(gaps, key=gaps.__getitem__)
        if gaps[nearest] <= BESIDE * longest:
            owner[label] = nearest
    return owner


def _are_clear(boxes: list[Box], longest: int) -> bool:
    """Return whether these are several digits: about as large as each other, and well apart."""
    apart = all(one.gap(other) >= CLEAR * longest for one, other in combinations(boxes, 2))
    return apart and all(box.length >= ALIKE * longest for box in boxes)


def in_reading_order(digits: list[Digit]) -> list[Digit]:
    """Return digits row by row, and from left to right; a row ends where the next lies lower."""
    rows: list[list[Digit]] = []
    for digit in sorted(digits, key=lambda one: one.box.top + one.box.bottom):
        middle = (digit.box.top + digit.box.bottom) / 2
        if not rows or middle > np.mean([other.box.bottom for other in rows[-1]]):
            rows.append([])
        rows[-1].append(digit)
    return [digit for row in rows for digit in sorted(row, key=lambda one: one.box.left)]
