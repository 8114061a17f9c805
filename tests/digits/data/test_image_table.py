from pathlib import Path

import numpy as np
import pytest

from digits.data.image_table import ImageTable, write_images
from digits.errors import InputError
from tests.conftest import read_images


def test_images_are_written_in_kaggles_form(tmp_path: Path) -> None:
    write_images(tmp_path / "train.csv", np.array([[0, 7, 80, 255]], np.uint8), np.array([9]))
    expected = b"label,pixel0,pixel1,pixel2,pixel3\n9,0,7,80,255\n"
    assert (tmp_path / "train.csv").read_bytes() == expected


def test_every_share_of_255_is_brought_back_to_its_byte(tmp_path: Path) -> None:
    shares = np.arange(256, dtype=np.float32) / np.float32(255)
    names = ",".join(f"pixel{k}" for k in range(256))
    (tmp_path / "test.csv").write_text(f"{names}\n{','.join(map(str, shares))}\n")
    assert read_images(tmp_path / "test.csv")[1].tolist() == [list(range(256))]


@pytest.mark.parametrize(
    ("cells", "scaled"),
    [("0\n0\n", False), ("0\n1\n" * 200_000 + "0.2\n", True), ("0\n1\n" * 200_000 + "2\n", False)],
    ids=["black", "a share far down", "a grey far down"],
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
