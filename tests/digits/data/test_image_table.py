from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digits.data.image_table import ImageTable, write_images
from digits.errors import InputError
from tests.conftest import read_images


def test_images_are_written_in_kaggles_form(tmp_path: Path) -> None:
    write_images(tmp_path / "train.csv", np.array([[0, 7, 80, 255]], np.uint8), np.array([9]))
    expected = b"label,pixel0,pixel1,pixel2,pixel3\n9,0,7,80,255\n"
    assert (tmp_path / "train.csv").read_bytes() == expected
    write_images(tmp_path / "test.csv", np.array([[7], [255]], np.uint8))
    assert (tmp_path / "test.csv").read_bytes() == b"pixel0\n7\n255\n"


def test_every_share_of_255_is_brought_back_to_its_byte(tmp_path: Path) -> None:
    shares = np.arange(256, dtype=np.float32) / np.float32(255)
    names = ",".join(f"pixel{k}" for k in range(256))
    (tmp_path / "test.csv").write_text(f"{names}\n{','.join(map(str, shares))}\n")
    assert read_images(tmp_path / "test.csv")[1].tolist() == [list(range(256))]


@pytest.mark.parametrize(
    ("cells", "scaled"),
    [
        ("0\n0\n", False),
        ("1\n0.9\n2\n", True),
        ("1\n2\n0.9\n", False),
        ("0\n1\n" * 200_000 + "0.2\n", True),
        ("0\n1\n" * 200_000 + "2\n", False),
    ],
    ids=["black", "a share", "a grey", "a share far down", "a grey far down"],
)
def test_the_first_value_that_tells_a_scale_decides(
    tmp_path: Path, cells: str, scaled: bool
) -> None:
    (tmp_path / "test.csv").write_text(f"pixel0\n{cells}")
    assert ImageTable(tmp_path / "test.csv", labelled=False).scaled is scaled


def test_rows_are_counted_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_BLOCK", "BLOCK"):
        monkeypatch.setattr(f"digits.data.lines.{name}", 2**10)
    path = tmp_path / "test.csv"
    path.write_text("pixel0\n" + "255\n" * 3000 + "1,2\n")
    with pytest.raises(InputError, match="row 3002, column 2: a field too many; expected 1 column"):
        list(ImageTable(path, labelled=False).read())


def test_images_come_in_their_order_with_labels_and_ids_by_their_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_BLOCK", "BLOCK"):
        monkeypatch.setattr(f"digits.data.lines.{name}", 64)
    path = tmp_path / "train.csv"
    path.write_text("id,a,y\n" + "".join(f"n{k}, {k} ,0{k % 3}\n" for k in range(200)))
    blocks = list(ImageTable(path, labelled=True).read())
    assert len(blocks) > 20
    labels, ids = (pd.concat([getattr(one, name) for one in blocks]) for name in ("labels", "ids"))
    assert labels.to_dict() == {k + 2: str(k % 3) for k in range(200)}
    assert ids.to_dict() == {k + 2: f"n{k}" for k in range(200)}
    pixels = np.concatenate([one.pixels for one in blocks])
    assert pixels.tolist() == [[k] for k in range(200)]
    assert pixels.dtype == np.uint8
    path.write_text("a\n7\n")
    with pytest.raises(InputError, match="expected a column for the labels"):
        ImageTable(path, labelled=True)
    [images] = ImageTable(path, labelled=False).read()
    assert images.labels.empty
    assert images.ids.empty


def test_a_share_may_be_a_thousandth_of_a_grey_beside_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    for beside, is_right in ((0.0009, True), (-0.0009, True), (0.0011, False), (-0.0011, False)):
        path.write_text("".join(f"{(grey + beside) / 255}\n" for grey in (7, 0, 255)))
        table = ImageTable(path, labelled=False)
        if is_right:
            assert np.concatenate([one.pixels for one in table.read()]).tolist() == [
                [7],
                [0],
                [255],
            ]
        else:
            with pytest.raises(
                InputError, match=r"row 1, column 1: 0.027\d+; expected k / 255, fr"
            ):
                list(table.read())


WHOLE = "expected a whole number from 0 to 255"
PRINTED = "in UTF-8 that can be printed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n", "row 2: no data; expected rows below the header"),
        (
            "a\n0\n1\n0\n",
            "pixels are 0 and 1 alone, which of 255 or of 1 is not said; expected whole numbers",
        ),
        ("y,a\n1,7\n,8\n", f"row 3, column 1 (y): missing; expected a label, {PRINTED}"),
        ("id,a\nNaN,7\n", f"row 2, column 1 (id): 'NaN'; expected an id, {PRINTED}"),
        ("a,y\n7,\ufffd\n", f"row 2, column 2 (y): '\ufffd'; expected a label, {PRINTED}"),
        ("7\n256\n-1\n", f"row 2, column 1: 256; {WHOLE}"),
        ("7\n0.5\n", f"row 2, column 1: 0.5; {WHOLE}"),
        ("a,y,b,c,d\n7,0,0,0,0\n7,0,0,-1,256\n", f"row 3, column 4 (c): -1; {WHOLE}"),
        (f"{'p' * 50}\n7\nx\n", f"row 3, column 1 ({'p' * 40}): 'x'; {WHOLE}"),
        (
            "a\n0\n1\n0.2\n0.3\n",
            "row 5, column 1 (a): 0.3; expected k / 255, from 0 to 1, as others",
        ),
        ("a\n0.2\n1.2\n", "row 3, column 1 (a): 1.2; expected k / 255, from 0 to 1, as others are"),
        (",a\n1.0,7\n1.5,8\n", "row 3, column 1: '1.5'; expected a row number"),
        ("a,\n7,\n8,x\n", "row 3, column 2: 'x'; expected no more columns"),
        ("a\n7\n\n8\n", f"row 3, column 1 (a): missing; {WHOLE}"),
        ("a\n1\n1.5\n2\n", f"row 3, column 1 (a): 1.5; {WHOLE}"),
        ("a\n7\n1,2\n8\n9\n", "row 3, column 2: a field too many; expected 1 columns, as in row 1"),
        ("a\n7,1\n8,2\n", "row 2, column 2: a field too many; expected 1 columns, as in row 1"),
        (
            'y,a\n"0 1", 7\n2,8"\n3,9\n',
            "row 3: a quote alone, or within a cell; expected quotes around cells",
        ),
    ],
)
def test_a_cell_that_is_not_as_expected_is_told_by_its_row_and_column(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "test.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        list(ImageTable(path, labelled=False).read())
    assert str(error.value).startswith(f"{path}: {message}")
