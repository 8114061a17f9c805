"""The columns of a table of images: which is the label, which an id, and which are the pixels.

    label, digit, class, target or y    the label, wherever it stands
    id or ImageId                       what a submission calls the image by
    nothing, or Unnamed: 0, at first    row numbers, as pandas writes them
    all others                          the pixels, n x n of them, row by row from the top

Without a header, the first column is the label where there is one more than n x n.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

from digits.data.lines import DAMAGED, is_printed, read_lines
from digits.errors import InputError, shorten

LABELS = ("label", "digit", "class", "target", "y")
IDS = ("id", "imageid")
ROW_NUMBERS = ("", "unnamed: 0")
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+\.?(e[+-]?[0-9]+)?", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,9}")
_GREYS = 256
_SEPARATORS = ",\t;"


@dataclass(frozen=True)
class Columns:
    """The columns of a table of images, by their place, from 0; None where there is no such one."""

    separator: str
    names: list[str]  # of all columns, empty without a header
    first_row: int  # of an image, from 1, as an editor counts
    pixels: list[int]
    label: int | None
    id: int | None
    row_number: int | None
    nothing: int | None  # behind a separator at the end of each line

    @property
    def others(self) -> list[int]:
        """All columns but the pixels."""
        return sorted({*range(len(self.names))} - {*self.pixels})


def find_columns(path: Path, *, labelled: bool) -> Columns:
    """Return the columns of a CSV file of images, from its first row; labels if there must be any.

    An `InputError` tells if it cannot be read, or its columns are others, or have two meanings.
    """
    separator, cells = _read_first_row(path)
    nothing = len(cells) - 1 if len(cells) > 1 and not cells[-1] else None
    names = cells[:nothing]
    label, identity, row_number = None, None, None
    if headless := _is_image(path, names):
        label = None if _is_square(len(names)) else 0
    else:
        label, identity = (_find_one(path, names, known) for known in (LABELS, IDS))
        row_number = 0 if names[0].lower() in ROW_NUMBERS else None
    pixels = [place for place in range(len(names)) if place not in (label, identity, row_number)]
    if not headless:
        _check_order(path, pixels, names)
    if not pixels or not _is_square(len(pixels)):
        raise InputError(
            f"{path}: row 1, column {len(names)}: {len(pixels)} pixel columns, to "
            f"{names[-1][:40]!r}; expected a square number, besides id and {' or '.join(LABELS)}"
        )
    if labelled and label is None:
        raise InputError(
            f"{path}: row 1: {shorten(names[0])} and others; expected a column for the labels, "
            f"named {', '.join(LABELS)}"
        )
    named, first_row = ([""] * len(cells), 1) if headless else (cells, 2)
    return Columns(separator, named, first_row, pixels, label, identity, row_number, nothing)


def _is_square(count: int) -> bool:
    return isqrt(count) ** 2 == count


def _is_image(path: Path, cells: Sequence[str]) -> bool:
    """Return whether a first row is of numbers, and so of no names, but for 0, 1 and so on."""
    counted = [[str(number + first) for number in range(len(cells))] for first in (0, 1)]
    if cells not in counted:
        return all(map(_NUMBER.fullmatch, cells))
    if len(cells) <= _GREYS:
        raise InputError(
            f"{path}: row 1: {', '.join(cells[:2])}, …: names of columns, or an image; "
            "expected names that are not numbers"
        )
    return False


def _find_one(path: Path, names: Sequence[str], known: Sequence[str]) -> int | None:
    places = [place for place, name in enumerate(names) if name.lower() in known]
    if len(places) > 1:
        first, second, *_ = places
        raise InputError(
            f"{path}: row 1, column {second + 1}: {shorten(names[second])} beside "
            f"{shorten(names[first])} in column {first + 1}; expected one of them"
        )
    return places[0] if places else None


def _check_order(path: Path, pixels: Sequence[int], names: Sequence[str]) -> None:
    """Check that pixels differ, and that the numbers in names of one kind rise: pixel0, or 1x1."""
    lower = [names[place].lower() for place in pixels]
    numbered = len({_DIGITS.sub("", name) for name in lower}) == 1
    seen: set[str] = set()
    last: list[int] = []
    for place, name in zip(pixels, lower, strict=True):
        numbers = [int(number) for number in _DIGITS.findall(name)]
        if name in seen or (numbered and seen and numbers <= last):
            raise InputError(
                f"{path}: row 1, column {place + 1}: {shorten(names[place])} again or out of "
                "place; expected names that differ, in the order of their numbers"
            )
        seen.add(name)
        last = numbers


def _read_first_row(path: Path) -> tuple[str, list[str]]:
    """Return what separates the cells of a file, and its first row, without blanks around cells.

    An `InputError` tells if there is none, or it is no text in UTF-8.
    """
    _, text = next(read_lines(path), (1, ""))
    line = text.partition("\n")[0]
    if not line.strip():
        raise InputError(f"{path}: row 1: empty; expected a header")
    separator = max(_SEPARATORS, key=line.count)
    try:
        # pandas takes seconds where a single row is very long.
        [row] = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    except csv.Error:
        row = [DAMAGED]
    cells = [cell.strip() for cell in row]
    if not all(map(is_printed, cells)):
        raise InputError(f"{path}: row 1: no row of text in UTF-8; expected CSV")
    return separator, cells
