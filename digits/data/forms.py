"""The columns of a table of images: which is the label, which an id, and which are the pixels.

    label, digit, class, target or y    the label, wherever it stands
    id or ImageId                       what a submission calls the image by
    nothing, or Unnamed: 0, at first    row numbers, as pandas writes them
    all others                          the pixels, n x n of them, row by row from the top

Without a header, the first column is the label where there is one more than n x n.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import isqrt
from pathlib import Path

from digits.data.csv_files import RowFormat, read_first_row
from digits.errors import InputError, shorten

LABELS = ("label", "digit", "class", "target", "y")
IDS = ("id", "imageid")
_ROW_NUMBERS = re.compile(r"|unnamed: 0", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+\.?(e[+-]?[0-9]+)?", re.IGNORECASE)
_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_GREYS = 256


@dataclass(frozen=True)
class Columns:
    """The columns of a table of images, by their place, from 0.

    Attributes:
        separator: what stands between cells.
        names: of the columns, in order; none where there is no header.
        label: the label's, if there is one.
        id: the id's, if there is one.
        row_number: that of row numbers, if there is one.
        nothing: the one behind a separator at the end of each line, if there is one.
        pixels: those of the pixels, a square number of them.
    """

    separator: str
    names: tuple[str, ...]
    label: int | None
    id: int | None
    row_number: int | None
    nothing: int | None
    pixels: list[int]

    @property
    def others(self) -> list[int]:
        """All columns but the pixels."""
        columns = (self.label, self.id, self.row_number, self.nothing)
        return [column for column in columns if column is not None]

    @property
    def pixel_names(self) -> list[str]:
        """The names of the pixels, none where there is no header."""
        return [self.names[place] for place in self.pixels if self.names]

    @property
    def first_row(self) -> int:
        """The row of the first image, from 1, as an editor counts."""
        return 2 if self.names else 1

    @property
    def row_format(self) -> RowFormat:
        """How the rows are written; all but pixels are text."""
        count = len(self.pixels) + len(self.others)
        return RowFormat(self.separator, count, self.first_row, self.others)

    def name(self, column: int) -> str:
        """Return the name of a column for messages, in brackets, if it has one."""
        return f" ({self.names[column][:40]})" if column < len(self.names) else ""


def find_columns(path: Path, *, labelled: bool) -> Columns:
    """Return the columns of a table of images, from its first row.

    Args:
        path: a CSV file.
        labelled: whether it must have labels; it may have them in any case.

    Raises:
        InputError: it cannot be read, or its columns are others, or have two meanings.
    """
    separator, cells = read_first_row(path)
    nothing = len(cells) - 1 if len(cells) > 1 and not cells[-1] else None
    names = cells[:nothing]
    if _is_image(path, names):
        found = _without_header(separator, len(names), nothing)
    else:
        found = _from_header(path, separator, names, nothing)
    if not found.pixels or isqrt(len(found.pixels)) ** 2 != len(found.pixels):
        raise InputError(
            f"{path}: row 1, column {len(names)}: {len(found.pixels)} pixel columns; expected a "
            f"square number of them, besides {LABELS[0]!r} and {IDS[0]!r}"
        )
    if labelled and found.label is None:
        raise InputError(
            f"{path}: row 1: {shorten(names[0])} and others; expected a column for the labels, "
            f"named {', '.join(LABELS)}"
        )
    return found


def _is_image(path: Path, cells: Sequence[str]) -> bool:
    """Return whether a first row is of numbers, and so of no names."""
    if all(re.fullmatch(r"[0-9]{1,9}", cell) for cell in cells):
        first, *_ = numbers = [int(cell) for cell in cells]
        if first in (0, 1) and numbers == list(range(first, first + len(cells))):
            if len(cells) <= _GREYS:
                raise InputError(
                    f"{path}: row 1: {shorten(cells[0])}, {first + 1}, …: names of columns, or an "
                    "image; expected names that are not numbers"
                )
            return False
    return all(map(_NUMBER.fullmatch, cells))


def _without_header(separator: str, count: int, nothing: int | None) -> Columns:
    labels = int(isqrt(count) ** 2 != count)
    return Columns(
        separator, (), 0 if labels else None, None, None, nothing, list(range(labels, count))
    )


def _from_header(path: Path, separator: str, names: Sequence[str], nothing: int | None) -> Columns:
    lower = [name.lower() for name in names]
    label, identity = (
        _find_one(path, [place for place, name in enumerate(lower) if name in known], names)
        for known in (LABELS, IDS)
    )
    rows = 0 if _ROW_NUMBERS.fullmatch(names[0]) else None
    pixels = [place for place in range(len(names)) if place not in (label, identity, rows)]
    _check_order(path, pixels, names)
    return Columns(separator, tuple(names), label, identity, rows, nothing, pixels)


def _find_one(path: Path, places: Sequence[int], names: Sequence[str]) -> int | None:
    """Return the only one of some columns, or None."""
    if len(places) > 1:
        first, second, *_ = places
        raise InputError(
            f"{path}: row 1, column {second + 1}: {shorten(names[second])} beside "
            f"{shorten(names[first])} in column {first + 1}; expected one of them"
        )
    return places[0] if places else None


def _check_order(path: Path, pixels: Sequence[int], names: Sequence[str]) -> None:
    """Check that pixels differ, and are in the order of their numbers, if most of them have any."""
    plain = [_LEADING_ZEROS.sub("", names[place].lower()) for place in pixels]
    seen: set[str] = set()
    for place, name, known in zip(pixels, plain, _in_order(plain), strict=True):
        if name in seen or not name or known not in ("", name):
            problem = "again" if name in seen else "out of place"
            expected = repr(known) if known else "a name of its own"
            where = f"{path}: row 1, column {place + 1}: {shorten(names[place])}"
            raise InputError(f"{where} {problem}; expected {expected}")
        seen.add(name)


def _in_order(names: Sequence[str]) -> list[str]:
    """Return names of one kind, such as pixel0 or 1x1, in the order of their numbers.

    It is what most names are, and they have one number, which rises by 1, or more of them; where
    most have none, the texts are empty.
    """
    split = [re.split(r"([0-9]{1,9})", name) for name in names]
    [(kind, count)] = Counter(tuple(parts[::2]) for parts in split).most_common(1) or [((), 0)]
    if len(kind) < 2 or 2 * count < len(names):
        return [""] * len(names)
    numbers = sorted({tuple(map(int, parts[1::2])) for parts in split if tuple(parts[::2]) == kind})
    if len(kind) == 2:
        numbers = [(numbers[0][0] + step,) for step in range(len(names))]
    known = ["".join(chain(*zip(kind, map(str, one), strict=False), kind[-1:])) for one in numbers]
    return [*known, *["one number more"] * (len(names) - len(known))]
