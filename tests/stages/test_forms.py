"""Forms of CSV that people have: those with one meaning are prepared alike, others refused."""

import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from digits.data.forms import find_columns
from digits.errors import InputError
from stages import prepare
from tests.conftest import PIXELS
from tests.sandbox import draw_images

PREPARED = Path("data/prepared")
NAMES = [f"pixel{number}" for number in range(PIXELS)]
GRID = [f"{down}x{across}" for down in range(1, 5) for across in range(1, 5)]
Cells = Sequence[Sequence[object]]


def table(header: Sequence[str], rows: Cells, separator: str = ",", end: str = "\n") -> bytes:
    lines = [list(map(str, row)) for row in [header, *rows] if row]
    return end.join([*map(separator.join, lines), ""]).encode()


def labelled(*, seed: int = 0, count: int = 90) -> tuple[list[int], list[list[int]]]:
    pixels, labels = draw_images(count, seed)
    return labels.tolist(), pixels.tolist()


LABELS, TRAIN = labelled()
_, TEST = labelled(seed=1, count=12)
ROWS = [[label, *image] for label, image in zip(LABELS, TRAIN, strict=True)]
HEADER = ["label", *NAMES]
PLAIN = table(HEADER, ROWS)


def with_label(place: int, name: str, pixels: Sequence[str] = NAMES) -> bytes:
    """Return labelled images whose label is the column at a place."""
    rows = [[*image[:place], label, *image[place:]] for label, *image in ROWS]
    return table([*pixels[:place], name, *pixels[place:]], rows)


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", content)
    return file.getvalue()


def scaled(kind: Callable[[float], object], divisor: int = 255) -> bytes:
    return table(
        HEADER, [[label, *(kind(one / divisor) for one in image)] for label, *image in ROWS]
    )


def every(change: Callable[[object], object]) -> bytes:
    return table(HEADER, [[change(cell) for cell in row] for row in ROWS])


ACCEPTED: dict[str, bytes] = {
    "whole numbers as 7.0": every(lambda cell: f"{cell}.0"),
    "whole numbers as 7e0": every(lambda cell: f"{cell}e0"),
    "leading zeros": every(lambda cell: f"0{cell}"),
    "quotes": every(lambda cell: f'"{cell}"'),
    "quotes in the header": PLAIN.replace(b"label", b'"label"').replace(b"pixel3", b'"pixel3"'),
    "blanks after commas": table(HEADER, ROWS, separator=", "),
    "blanks and quotes": every(lambda cell: f'"{cell}"').replace(b",", b", "),
    "tabs": table(HEADER, ROWS, separator="\t"),
    "semicolons": table(HEADER, ROWS, separator=";"),
    "CR": table(HEADER, ROWS, end="\r"),
    "CRLF": table(HEADER, ROWS, end="\r\n"),
    "no last line end": PLAIN.rstrip(),
    "a byte-order mark": b"\xef\xbb\xbf" + PLAIN,
    "blank lines at the end": PLAIN + b"\n\n  \n\r\n",
    "a comma at the end of each line": PLAIN.replace(b"\n", b",\n"),
    "row numbers without a name": table(["", *HEADER], [[k, *row] for k, row in enumerate(ROWS)]),
    "row numbers as Unnamed: 0": table(
        ["Unnamed: 0", *HEADER], [[7 * k + 3, *row] for k, row in enumerate(ROWS)]
    ),
    "an id": table(["id", *HEADER], [[f"a{k}", *row] for k, row in enumerate(ROWS)]),
    "label last": with_label(PIXELS, "label"),
    "label between": with_label(5, "label"),
    "Label": with_label(0, "Label"),
    "digit": with_label(0, "digit"),
    "class": with_label(PIXELS, "CLASS"),
    "target": with_label(0, "target"),
    "y": with_label(3, "Y"),
    "pixels from 1": with_label(0, "label", [f"pixel{k + 1}" for k in range(PIXELS)]),
    "pixels with zeros": with_label(0, "label", [f"Pixel{k:03}" for k in range(PIXELS)]),
    "1x1": with_label(0, "label", GRID),
    "numbers alone": with_label(0, "label", [str(k) for k in range(PIXELS)]),
    "any other names": with_label(0, "label", list("abcdefghijklmnop")),
    "no header": table([], ROWS),
    "no header, quotes": table([], [[f'"{cell}"' for cell in row] for row in ROWS]),
    "shares of 255": scaled(float),
    "shares of 255, float32": scaled(np.float32),
    "shares of 255, seven digits": scaled(lambda share: f"{share:.7f}"),
    "gzip": gzip.compress(PLAIN),
    "zip": zipped(PLAIN),
}


def digests() -> dict[str, str]:
    """Return the hash of each file that prepare wrote, but for where each row stood."""
    files = (path for path in sorted(PREPARED.rglob("*")) if path.is_file())
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "rows.npy"
    }


def prepare_anew(name: str, content: bytes) -> tuple[str, bool]:
    """Prepare the plain form and another; return what is told, and whether all is the same."""
    prepare.main()
    expected = digests()
    Path(name).write_bytes(content)
    return prepare.main(), digests() == expected


@pytest.mark.parametrize("form", ACCEPTED)
def test_a_form_with_one_meaning_is_prepared_as_the_plain_one(project: Path, form: str) -> None:
    told, same = prepare_anew("train.csv", ACCEPTED[form])
    assert same
    assert ("train.csv (pixels from 0 to 1)" in told) is form.startswith("shares")


TESTS = {
    "labels": table(HEADER, [[9, *image] for image in TEST]),
    "no header": table([], TEST),
    "no header, labels": table([], [[9, *image] for image in TEST]),
    "row numbers": table(["", *NAMES], [[k, *image] for k, image in enumerate(TEST)]),
    "shares of 255": table(NAMES, [[one / 255 for one in image] for image in TEST]),
}


@pytest.mark.parametrize("form", TESTS)
def test_images_to_predict_have_these_forms_too(project: Path, form: str) -> None:
    told, same = prepare_anew("test.csv", TESTS[form])
    assert same
    assert ("test.csv (pixels from 0 to 1)" in told) is form.startswith("shares")


def test_ids_are_carried_in_their_order(project: Path) -> None:
    ids = [f"{7 * k % 12}" for k in range(12)]
    rows = [[name, *image] for name, image in zip(ids, TEST, strict=True)]
    Path("test.csv").write_bytes(table(["id", *NAMES], rows))
    prepare.main()
    assert (PREPARED / "ids.csv").read_text().split() == ["id", *ids]


def put(row: int, column: int, cell: object, content: Cells = ROWS) -> bytes:
    """Return labelled images with another cell, rows counted as an editor does."""
    rows = [list(one) for one in content]
    rows[row - 2][column - 1] = cell
    return table(HEADER, rows)


def lines(row: int, line: bytes) -> bytes:
    """Return labelled images with another line."""
    content = PLAIN.split(b"\n")
    content[row - 1] = line
    return b"\n".join(content)


LINE = PLAIN.split(b"\n")[6]
WHOLE = "expected a whole number from 0 to 255"
SHARES = scaled(float).split(b"\n")
REFUSED: dict[str, tuple[bytes, str]] = {
    "two labels": (
        table(["label", "y", *NAMES], [[row[0], *row] for row in ROWS]),
        "row 1, column 2: 'y' beside 'label' in column 1; expected one of them",
    ),
    "no label": (table(NAMES, TRAIN), "row 1: 'pixel0' and others; expected a column for the labe"),
    "0 and 1 alone": (
        table(HEADER, [[row[0], *(one % 2 for one in row[1:])] for row in ROWS]),
        "pixels are 0 and 1 alone, which of 255 or of 1 is not said; expected whole numbers from 0",
    ),
    "mixed scales": (
        b"\n".join([*SHARES[:50], LINE, *SHARES[51:]]),
        "row 51, column 2 (pixel0): 89; expected k / 255, from 0 to 1, as others are",
    ),
    "shares among whole numbers": (put(7, 3, 0.5), f"row 7, column 3 (pixel1): 0.5; {WHOLE}"),
    "shares of 256": (scaled(float, 256), "row 2, column 2 (pixel0): "),
    "NaN": (put(7, 3, "NaN"), f"row 7, column 3 (pixel1): 'NaN'; {WHOLE}"),
    "infinity": (put(7, 3, "inf"), f"row 7, column 3 (pixel1): inf; {WHOLE}"),
    "negative": (put(7, 3, -1), f"row 7, column 3 (pixel1): -1; {WHOLE}"),
    "256": (put(7, 17, 256), f"row 7, column 17 (pixel15): 256; {WHOLE}"),
    "257": (put(91, 2, 257), f"row 91, column 2 (pixel0): 257; {WHOLE}"),
    "2 ** 64": (put(7, 3, 2**64), f"row 7, column 3 (pixel1): '18446744073709551616'; {WHOLE}"),
    "text": (put(7, 3, "x"), f"row 7, column 3 (pixel1): 'x'; {WHOLE}"),
    "true": (every(lambda cell: cell).replace(b"\n0,", b"\n0,True,"), "row 2, column 18: a field"),
    "a column of truth": (
        table(HEADER, [[*row[:2], True, *row[3:]] for row in ROWS]),
        f"row 2, column 3 (pixel1): 'True'; {WHOLE}",
    ),
    "hexadecimal": (put(7, 3, "0x10"), f"row 7, column 3 (pixel1): '0x10'; {WHOLE}"),
    "an underscore": (put(7, 3, "1_0"), f"row 7, column 3 (pixel1): '1_0'; {WHOLE}"),
    "Arabic digits": (put(7, 3, "\u0661"), f"row 7, column 3 (pixel1): '\u0661'; {WHOLE}"),
    "no UTF-8": (PLAIN.replace(LINE, LINE[:-1] + b"\xff"), "row 7, column 17 (pixel15): '"),
    "a zero byte": (PLAIN.replace(LINE, LINE[:-1] + b"\0"), "row 7, column 17 (pixel15): '"),
    "decimal commas": (
        table(HEADER, ROWS, separator=";").replace(b";9", b";9,5"),
        "row 2, column ",
    ),
    "a row too short": (lines(7, b"0,1,2"), f"row 7, column 4 (pixel2): missing; {WHOLE}"),
    "a row too long": (lines(7, LINE + b",1"), "row 7, column 18: a field too many; expected 17 c"),
    "all rows too long": (
        PLAIN.replace(b"\n", b",1\n").replace(b"15,1\n", b"15\n", 1),
        "row 2, column 18: a field too many",
    ),
    "an empty cell": (put(7, 3, ""), f"row 7, column 3 (pixel1): missing; {WHOLE}"),
    "a blank line": (PLAIN.replace(LINE, b"\n" + LINE), "row 7, column 1 (label): missing; expec"),
    "an open quote": (lines(7, b'"' + LINE), "row 7: a quote without its end; expected both"),
    "a line end in quotes": (
        put(7, 17, '"1\n"'),
        "row 7: a line end within quotes; expected none",
    ),
    "text at the end": (
        PLAIN.replace(b"\n", b",\n").replace(LINE, LINE + b",x"),
        "row 7, column 19",
    ),
    "a row number that is none": (
        table(["", *HEADER], [["a" if k == 5 else k, *row] for k, row in enumerate(ROWS)]),
        "row 7, column 1 (): 'a'; expected a row number",
    ),
    "a missing label": (put(7, 1, ""), "row 7, column 1 (label): missing; expected a label or an"),
    "a label that is no number": (put(7, 1, "NaN"), "row 7, column 1 (label): 'NaN'; expected a"),
    "a label that is no UTF-8": (
        put(7, 1, "x").replace(b"\nx,", b"\nx\xff,"),
        "row 7, column 1 (label): 'x\ufffd'; expected text in UTF-8 that can be printed",
    ),
    "a byte-order mark on the way": (
        put(91, 1, "\ufeff0"),
        "row 91, column 1 (label): '\ufffd0'; expected text in UTF-8 that can be printed",
    ),
    "a class of one row": (
        put(7, 1, 9),
        "row 7, column 1 (label): '9' is the only row of its class; expected two classes or more,",
    ),
    "one class": (
        table(HEADER, [[0, *row[1:]] for row in ROWS]),
        "row 2, column 1 (label): '0' is the only one; expected two classes or more",
    ),
    "no square": (
        table(HEADER[:-1], [row[:-1] for row in ROWS]),
        "row 1, column 16: 15 pixel columns; expected a square number of them",
    ),
    "pixels out of order": (
        with_label(0, "label", [NAMES[1], NAMES[0], *NAMES[2:]]),
        "row 1, column 2: 'pixel1' out of place; expected 'pixel0'",
    ),
    "any other name twice": (
        with_label(0, "label", list("abcdefghijklmnoa")),
        "row 1, column 17: 'a' again; expected a name of its own",
    ),
    "pixels backwards": (
        with_label(0, "label", NAMES[::-1]),
        "row 1, column 2: 'pixel15' out of place; expected 'pixel0'",
    ),
    "two numbers, column by column": (
        with_label(0, "label", [f"r{k % 4}c{k // 4}" for k in range(PIXELS)]),
        "row 1, column 3: 'r1c0' out of place; expected 'r0c1'",
    ),
    "a header in CR": (PLAIN.replace(b"\n", b"\r", 1), "row 1: a line end of another kind; exp"),
    "a row in CR": (
        PLAIN.replace(LINE + b"\n", LINE + b"\r"),
        "row 7: a line end of another kind; expected one kind in all",
    ),
    "a row in LF": (
        PLAIN.replace(b"\n", b"\r").replace(LINE + b"\r", LINE + b"\n"),
        "row 1: a line end of another kind; expected one kind in all",
    ),
    "a quote within a cell": (put(7, 3, '"1"0'), "row 7: a quote within a cell; expected it aroun"),
    "quotes before a number": (put(7, 3, '""5'), "row 7: a quote within a cell; expected it aroun"),
    "hundreds of digits": (put(7, 3, "1" * 310), "row 7, column 3 (pixel1): '1111"),
    "a byte that wraps": (
        table(HEADER, [[row[0], *(one / 255 for one in row[1:])] for row in ROWS[:-1]])
        + table([], [[ROWS[-1][0], 72340172838076674, *ROWS[-1][2:]]]),
        "row 91, column 2 (pixel0): 7.23402e+16; expected k / 255, from 0 to 1, as others are",
    ),
    "0, 1 and text": (
        table(HEADER, [[row[0], *(one % 2 for one in row[1:-1]), "x"] for row in ROWS]),
        f"row 2, column 17 (pixel15): 'x'; {WHOLE}",
    ),
    "a label with a tab": (put(7, 1, "a\tb"), "row 7, column 1 (label): 'a\\tb'; expected text in"),
    "a pixel twice": (
        with_label(0, "label", [*NAMES[:3], NAMES[1], *NAMES[4:]]),
        "row 1, column 5: 'pixel1' again; expected 'pixel3'",
    ),
    "a stranger in the place of a pixel": (
        with_label(0, "label", [*NAMES[:3], "weight", *NAMES[4:]]),
        "row 1, column 5: 'weight' out of place; expected 'pixel3'",
    ),
    "a grid column by column": (
        with_label(0, "label", sorted(GRID, key=lambda name: name[::-1])),
        "row 1, column 3: '2x1' out of place; expected '1x2'",
    ),
    "nothing": (b"", "row 1: empty; expected a header"),
    "a header alone": (table(HEADER, []), "row 2: no data; expected rows below the header"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", "row 1: no row of text in UTF-8; expected CSV"),
    "UTF-16": (PLAIN.decode().encode("utf-16"), "row 1: no row of text in UTF-8; expected CSV"),
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


def test_ids_that_stand_twice_are_refused(project: Path) -> None:
    rows = [[k % 11, *image] for k, image in enumerate(TEST)]
    Path("test.csv").write_bytes(table(["id", *NAMES], rows))
    with pytest.raises(InputError) as error:
        prepare.main()
    assert str(error.value) == (
        "test.csv: row 13, column 1 (id): '0' again; expected ids that differ"
    )


def test_names_of_columns_that_could_be_an_image_are_refused(project: Path) -> None:
    Path("test.csv").write_bytes(table([str(k) for k in range(PIXELS)], TEST))
    with pytest.raises(InputError, match=r"row 1: '0', 1, …: names of columns, or an image; exp"):
        prepare.main()


def test_images_to_predict_whose_pixels_stand_in_another_order_are_refused(project: Path) -> None:
    names = [chr(ord("a") + k) for k in range(PIXELS)]
    Path("train.csv").write_bytes(with_label(0, "label", names))
    Path("test.csv").write_bytes(table(names[::-1], TEST))
    with pytest.raises(InputError, match=r"^test.csv: row 1: the pixels of train.csv in another o"):
        prepare.main()


def test_a_long_header_is_read_in_no_time(project: Path) -> None:
    names = [f"pixel{k}" for k in range(150 * 150)]
    Path("test.csv").write_bytes(table(names, [[0] * len(names)]))
    assert len(find_columns(Path("test.csv"), labelled=False).pixels) == len(names)


@pytest.mark.parametrize(("header", "first"), [(HEADER, 2), ([], 1)])
def test_rows_are_counted_as_an_editor_does(project: Path, header: list[str], first: int) -> None:
    Path("train.csv").write_bytes(table(header, ROWS))
    prepare.main()
    rows = [np.load(PREPARED / part / "rows.npy") for part in ("train", "validation")]
    assert sorted(np.concatenate(rows).tolist()) == list(range(first, first + 90))
