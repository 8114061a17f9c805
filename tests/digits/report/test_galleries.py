from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.report.galleries import FRAME, Tile, draw_gallery

DIGIT = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16


def read_png(path: Path) -> NDArray[np.uint8]:
    """Return the greys of a picture, shape (height, width)."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def test_a_gallery_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    for path in (first, again):
        draw_gallery(path, "Gallery", [Tile(DIGIT, "predicted 1\nactual 7", "red")] * 11)
    assert first.read_bytes() == again.read_bytes()


def test_a_gallery_shows_each_pixel_as_a_square_of_its_grey(tmp_path: Path) -> None:
    draw_gallery(tmp_path / "gallery.png", "", [Tile(np.array([[0, 255], [128, 0]], np.uint8), "")])
    greys = read_png(tmp_path / "gallery.png")
    values, counts = np.unique(greys[30:], return_counts=True)
    enlarged = {int(value): int(count) for value, count in zip(values, counts, strict=True)}
    assert enlarged[0] == 57 * 57  # the pixel of 255, black
    assert 57 * 57 in [enlarged[value] for value in enlarged if 100 < value < 200]


@pytest.mark.parametrize("tiles", [0, 1, 10, 11, 60])
def test_a_gallery_grows_by_rows_of_ten(tmp_path: Path, tiles: int) -> None:
    draw_gallery(tmp_path / "gallery.png", "Gallery", [Tile(DIGIT, "1")] * tiles)
    draw_gallery(tmp_path / "ten.png", "Gallery", [Tile(DIGIT, "1")] * 10)
    draw_gallery(tmp_path / "none.png", "Gallery: none", [])
    height, ten, none = (
        len(read_png(tmp_path / f"{name}.png")) for name in ("gallery", "ten", "none")
    )
    assert height - none == -(-tiles // 10) * (ten - none)


def test_a_title_stands_above_its_image_in_its_colour(tmp_path: Path) -> None:
    draw_gallery(tmp_path / "gallery.png", "", [Tile(DIGIT, "predicted 1\nactual 7", "#b3261e")])
    with Image.open(tmp_path / "gallery.png") as picture:
        colours = np.asarray(picture.convert("RGB"))
    coloured = np.argwhere((colours == (0xB3, 0x26, 0x1E)).all(axis=2))
    frame = np.argwhere((colours == FRAME).all(axis=2))
    assert len(coloured) > 50
    assert coloured[:, 0].max() < frame[:, 0].min()
    assert frame[:, 1].min() <= coloured[:, 1].min() < coloured[:, 1].max() <= frame[:, 1].max()


def test_long_titles_stand_apart(tmp_path: Path) -> None:
    widths = []
    for title in ("predicted 1", "predicted Ankle boot and more"):
        draw_gallery(tmp_path / "gallery.png", "", [Tile(DIGIT, title)] * 2)
        picture = read_png(tmp_path / "gallery.png")
        widths.append(picture.shape[1])
    written = np.flatnonzero((picture[36:80] < 128).any(axis=0))
    blanks = np.diff(written).max()
    assert widths[0] < widths[1]
    assert blanks >= 16
