"""Forms of CSV that people have: those with one meaning are prepared alike, others refused."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.data.tensors import PREPARED
from digits.errors import InputError
from stages import prepare
from tests.conftest import PIXELS, zipped
from tests.sandbox import draw_images

NAMES = [f"pixel{number}" for number in range(PIXELS)]
GRID = [f"{down}x{across}" for down in range(1, 5) for across in range(1, 5)]
LETTERS = list("abcdefghijklmnop")
HEADER = ["label", *NAMES]
Cells = Sequence[Sequence[object]]


def table(header: Sequence[str], rows: Cells, separator: str = ",", end: str = "\n") -> bytes:
    lines = [list(map(str, row)) for row in [header, *rows] if row]
    return end.join([*map(separator.join, lines), ""]).encode()


IMAGES, LABELS = draw_images(90)
ROWS: list[list[object]] = np.column_stack([LABELS, IMAGES]).tolist()
TEST: list[list[object]] = draw_images(12, seed=1)[0].tolist()
PLAIN = table(HEADER, ROWS)
LINE = PLAIN.split(b"\n")[6]  # row 7


def with_label(place: int, name: str, pixels: Sequence[str] = NAMES) -> bytes:
    """Return labelled images whose label is the column at a place."""
    rows = [[*image[:place], label, *image[place:]] for label, *image in ROWS]
    return table([*pixels[:place], name, *pixels[place:]], rows)


def with_first(name: str, column: Sequence[object]) -> bytes:
    """Return labelled images with another column before them."""
    return table([name, *HEADER], [[cell, *row] for cell, row in zip(column, ROWS, strict=True)])


def changed(label: Callable[[Any], object] = int, pixel: Callable[[Any], object] = int) -> bytes:
    """Return labelled images with other cells."""
    return table(HEADER, [[label(first), *map(pixel, image)] for first, *image in ROWS])


def every(change: Callable[[object], object]) -> bytes:
    return changed(change, change)


ACCEPTED: dict[str, bytes] = {
    "whole numbers as 7.0": every(lambda cell: f"{cell}.0"),
    "leading zeros": every(lambda cell: f"0{cell}"),
    "quotes": every(lambda cell: f'"{cell}"').replace(b"label", b'"label"'),
    "blanks after commas": table(HEADER, ROWS, separator=", "),
    "blanks and quotes": every(lambda cell: f'"{cell}"').replace(b",", b", "),
    "tabs": table(HEADER, ROWS, separator="\t"),
    "semicolons": table(HEADER, ROWS, separator=";"),
    "CR": table(HEADER, ROWS, end="\r"),
    "CRLF": table(HEADER, ROWS, end="\r\n"),
    "line ends of all kinds": PLAIN.replace(LINE + b"\n", LINE + b"\r").replace(b"\n", b"\r\n", 9),
    "a byte-order mark": b"\xef\xbb\xbf" + PLAIN,
    "blank lines at the end": PLAIN + b"\n\n  \n\r\n",
    "a comma at the end of each line": PLAIN.replace(b"\n", b",\n"),
    "row numbers without a name": with_first("", range(90)),
    "row numbers as Unnamed: 0": with_first("Unnamed: 0", range(3, 633, 7)),
    "an id": with_first("id", [f"a{number}" for number in range(90)]),
    **{
        name: with_label(place, name)
        for place, name in enumerate(("Label", "digit", "CLASS", "target", "Y"))
    },
    "pixels from 1": with_label(0, "label", [f"pixel{number + 1}" for number in range(PIXELS)]),
    "1x1": with_label(0, "label", GRID),
    "numbers alone": with_label(0, "label", list(map(str, range(PIXELS)))),
    "any other names": with_label(0, "label", LETTERS),
    "no header": table([], ROWS),
    "shares of 255": changed(pixel=lambda grey: grey / 255),
    "gzip": gzip.compress(PLAIN),
    "zip": zipped(PLAIN, ("a/", "a/train.csv", "__MACOSX/a/._train.csv")),
}
TESTS: dict[str, bytes] = {
    "labels": table(HEADER, [[9, *image] for image in TEST]),
    "no header": table([], TEST),
    "no header, labels": table([], [[9, *image] for image in TEST]),
    "row numbers": table(["", *NAMES], [[k, *image] for k, image in enumerate(TEST)]),
    "shares of 255": table(NAMES, (np.array(TEST) / 255).tolist()),
}


def contents() -> dict[str, bytes]:
    """Return the files that prepare wrote, but for where the first row stood."""
    files = (path for path in PREPARED.rglob("*.*") if path.name != "counts.json")
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("name", "form", "content"),
    [
        *(("train.csv", form, content) for form, content in ACCEPTED.items()),
        *(("test.csv", form, content) for form, content in TESTS.items()),
    ],
)
def test_a_form_with_one_meaning_is_prepared_as_the_plain_one(
    project: Path, name: str, form: str, content: bytes
) -> None:
    prepare.main()
    expected = contents()
    Path(name).write_bytes(content)
    told = prepare.main()
    assert contents() == expected
    assert (f"{name} (pixels from 0 to 1)" in told) is form.startswith("shares")


def put(row: int, column: int, cell: object) -> bytes:
    """Return labelled images with another cell, rows counted as an editor does."""
    rows = [list(one) for one in ROWS]
    rows[row - 2][column - 1] = cell
    return table(HEADER, rows)


def line(content: bytes) -> bytes:
    """Return labelled images with another line in row 7."""
    return PLAIN.replace(LINE, content)


WHOLE = "expected a whole number from 0 to 255"
CELL, LABEL = "row 7, column 3 (pixel1): ", "row 7, column 1 (label): "
SHARES = changed(pixel=lambda grey: grey / 255)
BITS = [[label, *(int(str(grey)) % 2 for grey in image)] for label, *image in ROWS]
COMMAS = PLAIN.replace(b"\n", b",\n")
QUOTES = "a quote alone, or within a cell; expected quotes around cells"
REFUSED: dict[str, tuple[bytes, str]] = {
    "two labels": (with_first("y", range(90)), "row 1, column 2: 'label' beside 'y' in column 1; "),
    "no label": (table(NAMES, IMAGES.tolist()), "row 1: 'pixel0' and others; expected a column"),
    "no square": (
        table(HEADER[:-1], ROWS),
        "row 1, column 16: 15 pixel columns, to 'pixel14'; expected",
    ),
    "0 and 1 alone": (table(HEADER, BITS), "pixels are 0 and 1 alone, which of 255 or of 1 is not"),
    "mixed scales": (SHARES + LINE, "row 92, column 2 (pixel0): 89; expected k / 255, from 0"),
    "shares of 256": (changed(pixel=lambda grey: grey / 256), "row 2, column 2 (pixel0): "),
    **{
        str(cell): (put(7, 3, cell), f"{CELL}{cell!r}; {WHOLE}")
        for cell in ("NaN", "x", "True", "0x10", "1_0", "\u0661", str(2**64), 0.5, -1, 256)
    },
    "infinity": (put(7, 3, "inf"), f"{CELL}inf; {WHOLE}"),
    "an empty cell": (put(7, 3, ""), f"{CELL}missing; {WHOLE}"),
    "no UTF-8": (line(LINE[:-1] + b"\xff"), "row 7, column 17 (pixel15): '"),
    "decimal commas": (table(HEADER, ROWS, ";").replace(b";9", b";9,5"), "row 2, column "),
    "a row too short": (line(b"0,1,2"), f"row 7, column 4 (pixel2): missing; {WHOLE}"),
    "a row too long": (line(LINE + b",1"), "row 7, column 18: a field too many; expected 17 colum"),
    "a blank line": (line(b"\n" + LINE), f"{LABEL}missing; expected a label"),
    "an open quote": (line(b'"' + LINE), f"row 7: {QUOTES}"),
    "a line end in quotes": (put(7, 17, '"1\n"'), f"row 7: {QUOTES}"),
    **{
        cell: (put(7, 3, cell), f"row 7: {QUOTES}")
        for cell in ('"1"0', '1"2"', '""1', '1","', '"1"2', '"1')
    },
    "text at the end": (COMMAS.replace(LINE, LINE + b",x"), "row 7, column 19"),
    "no row number": (with_first("", [*range(5), *"a" * 85]), "row 7, column 1: 'a'; expected"),
    "a missing label": (put(7, 1, ""), f"{LABEL}missing; expected a label"),
    "a label that is no number": (put(7, 1, "NaN"), f"{LABEL}'NaN'; expected a label"),
    "a label with a tab": (put(7, 1, "a\tb"), f"{LABEL}'a\\tb'; expected a label"),
    "a class of one row": (put(7, 1, 9), f"{LABEL}'9'; expected two rows of each class"),
    "one class": (changed(label=lambda _: 0), "row 2, column 1 (label): '0'; expected two classes"),
    "one grey": (changed(pixel=lambda _: 7), "all training pixels are equal; expected images"),
    **{
        f"{column}, {name}": (
            with_label(0, "label", names),
            f"row 1, column {column}: {name!r} again or out of place; expected names that differ",
        )
        for column, name, names in (
            (3, "pixel0", [NAMES[1], NAMES[0], *NAMES[2:]]),
            (6, "1x2", sorted(GRID, key=lambda name: name[::-1])),
            (17, "a", [*LETTERS[:-1], "a"]),
        )
    },
    "nothing": (b"", "row 1: empty; expected a header"),
    "a header alone": (table(HEADER, []), "row 2: no data; expected rows below the header"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", "row 1: no row of text in UTF-8; expected CSV"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_a_form_with_no_meaning_or_two_is_refused_with_its_place(project: Path, form: str) -> None:
    content, message = REFUSED[form]
    Path("train.csv").write_bytes(content)
    with pytest.raises(InputError) as error:
        prepare.main()
    assert str(error.value).startswith(f"train.csv: {message}")
    assert str(error.value).isprintable()
    assert not PREPARED.exists()


def test_ids_are_carried_in_their_order_and_must_differ(project: Path) -> None:
    for step, last in ((7, 12), (1, 11)):
        ids = [str(step * number % last) for number in range(12)]
        rows = [[name, *image] for name, image in zip(ids, TEST, strict=True)]
        Path("test.csv").write_bytes(table(["id", *NAMES], rows))
        if step == 7:
            prepare.main()
            assert (PREPARED / "ids.csv").read_text().split() == ["id", *ids]
    with pytest.raises(InputError, match=r"row 13, column 1 \(id\): '0'; expected ids that differ"):
        prepare.main()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        *(
            ([str(k) for k in range(count)], "0, 1, …: names of columns, or an image; expected nam")
            for count in (PIXELS, 256)
        ),
        (LETTERS[::-1], "16 pixel columns; expected the 16 of train.csv, in their order"),
        (LETTERS[:9], "9 pixel columns; expected the 16 of train.csv, in their order"),
    ],
)
def test_images_to_predict_of_other_columns_are_refused(
    project: Path, names: list[str], message: str
) -> None:
    Path("train.csv").write_bytes(with_label(0, "label", LETTERS))
    Path("test.csv").write_bytes(table(names, [image[: len(names)] for image in TEST]))
    with pytest.raises(InputError, match=rf"^test.csv: row 1: {message}"):
        prepare.main()


@pytest.mark.parametrize(("header", "first"), [(HEADER, 2), ([], 1)])
def test_rows_are_counted_from_0_and_lines_as_an_editor_does(
    project: Path, header: list[str], first: int
) -> None:
    Path("train.csv").write_bytes(table(header, ROWS))
    prepare.main()
    rows = [np.load(PREPARED / part / "rows.npy") for part in ("train", "validation")]
    assert sorted(np.concatenate(rows).tolist()) == list(range(90))
    assert json.loads((PREPARED / "counts.json").read_text())["first_line"]["labelled"] == first
