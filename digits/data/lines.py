"""Lines of CSV files of any length, packed or not, in blocks of whole lines that bound memory."""

import csv
from codecs import getincrementaldecoder
from collections.abc import Iterator
from io import IncrementalNewlineDecoder
from itertools import chain
from pathlib import Path

from digits.data.unpacking import read_unpacked
from digits.errors import InputError

SEPARATORS = ",\t;"
LINE_BYTES = 2**22
DAMAGED = "\N{REPLACEMENT CHARACTER}"  # in the place of what is no UTF-8


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield blocks of whole lines, ended by LF, with the row, from 1, that a block begins with.

    Lines may end in LF, CRLF or CR. Blank lines at the end, and a byte-order mark, are left out.
    An `InputError` tells if the file cannot be read, or has a line longer than `LINE_BYTES`.
    """
    utf_8 = getincrementaldecoder("utf-8-sig")("replace")
    decoder = IncrementalNewlineDecoder(utf_8, translate=True)
    kept, row = "", 1
    for block in chain(read_unpacked(path), [b""]):
        text = kept + decoder.decode(block, final=not block)
        cut = text.rfind("\n", 0, len(text.rstrip())) + 1
        if cut:
            yield row, text[:cut]
            row += text.count("\n", 0, cut)
        kept = text[cut:]
        if len(kept) > LINE_BYTES:
            raise InputError(f"{path}: row {row}: over {LINE_BYTES} bytes; expected a shorter line")
    if kept.strip():
        yield row, kept.rstrip()


def read_first_row(path: Path) -> tuple[str, list[str]]:
    """Return what separates the cells of a file, and its first row, without blanks around cells.

    An `InputError` tells if there is none, or it is no text in UTF-8.
    """
    _, text = next(read_lines(path), (1, ""))
    line = text.partition("\n")[0]
    if not line.strip():
        raise InputError(f"{path}: row 1: empty; expected a header")
    separator = max(SEPARATORS, key=line.count)
    try:
        # pandas takes seconds where a single row is very long.
        [row] = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    except csv.Error:
        row = [DAMAGED]
    cells = [cell.strip() for cell in row]
    if DAMAGED in line or not all(map(str.isprintable, cells)):
        raise InputError(f"{path}: row 1: no row of text in UTF-8; expected CSV")
    return separator, cells
