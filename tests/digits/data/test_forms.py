from pathlib import Path

import pytest

from digits.data.forms import Columns, find_columns
from digits.errors import InputError


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("Label,a,b,c,d\n", Columns(",", ["Label", *"abcd"], 2, [1, 2, 3, 4], 0, None, None, None)),
        ("a;ImageId;y;\n", Columns(";", ["a", "ImageId", "y", ""], 2, [0], 2, 1, None, 3)),
        ("\ta\tDIGIT\n", Columns("\t", ["", "a", "DIGIT"], 2, [1], 2, None, 0, None)),
        ("Unnamed: 0,a,\n", Columns(",", ["Unnamed: 0", "a", ""], 2, [1], None, None, 0, 2)),
        ('"a", "b","c,d",e', Columns(",", ["a", "b", "c,d", "e"], 2, [*range(4)], *[None] * 4)),
        ("a,", Columns(",", ["a", ""], 2, [0], None, None, None, 1)),
        ("+1,-2.5,.5,1E-5,\n0,", Columns(",", [""] * 5, 1, [0, 1, 2, 3], None, None, None, 4)),
        ("7,0,0.,1,1\n", Columns(",", [""] * 5, 1, [1, 2, 3, 4], 0, None, None, None)),
        ("7\n8\n9\n", Columns(",", [""], 1, [0], None, None, None, None)),
    ],
)
def test_each_column_is_known_by_its_place(tmp_path: Path, text: str, columns: Columns) -> None:
    (tmp_path / "a.csv").write_text(text)
    found = find_columns(tmp_path / "a.csv", labelled=columns.label is not None)
    assert found == columns
    assert sorted(found.others + found.pixels) == list(range(len(found.names)))


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_in_order_are_names_where_they_are_more_than_greys(
    tmp_path: Path, first: int
) -> None:
    names = list(map(str, range(first, first + 289)))
    (tmp_path / "a.csv").write_text(",".join(names))
    assert find_columns(tmp_path / "a.csv", labelled=False).names == names


MEANINGS = "names of columns, or an image; expected names that are not numbers"
AGAIN = "again or out of place; expected names that differ, in the order of their numbers"
LABELS = "a column for the labels, named label, digit, class, target, y"
SQUARE = "expected a square number, besides id and label or digit or class or target or y"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("0,1,2,3", f"row 1: 0, 1, …: {MEANINGS}"),
        (",".join(map(str, range(1, 257))), f"row 1: 1, 2, …: {MEANINGS}"),
        ("x,Label,y", "row 1, column 3: 'y' beside 'Label' in column 2; expected one of them"),
        (
            "id,x,imageid,y",
            "row 1, column 3: 'imageid' beside 'id' in column 1; expected one of th",
        ),
        ("y,a1,A1,a2,a3", f"row 1, column 3: 'A1' {AGAIN}"),
        ("a1,a10,a9,a11,y", f"row 1, column 3: 'a9' {AGAIN}"),
        ("y,a1,a01,a2,a3", f"row 1, column 3: 'a01' {AGAIN}"),
        ("y,a,b,c,A", f"row 1, column 5: 'A' {AGAIN}"),
        ("1x2,1x1,2x1,2x2,y", f"row 1, column 2: '1x1' {AGAIN}"),
        ("y,a,bb", f"row 1, column 3: 2 pixel columns, to 'bb'; {SQUARE}"),
        ("id,y", f"row 1, column 2: 0 pixel columns, to 'y'; {SQUARE}"),
        ('""', f"row 1, column 1: 0 pixel columns, to ''; {SQUARE}"),
        ("a,b,c,d", f"row 1: 'a' and others; expected {LABELS}"),
        ("1,2.5,3,4", f"row 1: '1' and others; expected {LABELS}"),
        ("", "row 1: empty; expected a header"),
        ("\n1,2,3,4", "row 1: empty; expected a header"),
        ("y,a\ufffd", "row 1: no row of text in UTF-8; expected CSV"),
        ('y,"a', "row 1: no row of text in UTF-8; expected CSV"),
        ("y,a\x07", "row 1: no row of text in UTF-8; expected CSV"),
    ],
)
def test_a_header_without_a_meaning_or_with_two_is_refused_at_its_column(
    tmp_path: Path, header: str, message: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(header)
    with pytest.raises(InputError) as error:
        find_columns(path, labelled=True)
    assert str(error.value).startswith(f"{path}: {message}")
