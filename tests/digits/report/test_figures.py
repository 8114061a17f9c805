import re
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from digits.evaluation.measures import Predictions
from digits.report import figures
from digits.report.figures import RIGHT, WRONG, Tile, draw_confusion, draw_gallery, find_fonts

STIX = Path(mpl.get_data_path(), "fonts/ttf/STIXGeneral.ttf")
FOREIGN = "\u214a"  # which STIX has, and DejaVu Sans lacks
DIGIT = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16


def read_png(path: Path) -> NDArray[np.uint8]:
    """Return the greys of a picture, shape (height, width)."""
    with Image.open(path) as picture:
        assert "Software" not in picture.info
        return np.asarray(picture.convert("L"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "picture.png"


def test_pictures_are_the_same_bytes_each_time_whatever_the_users_settings(path: Path) -> None:
    drawn = []
    for size, colour, shades in ((10, "auto", "viridis"), (30, "red", "jet")):
        with mpl.rc_context({"font.size": size, "savefig.facecolor": colour, "image.cmap": shades}):
            figures.draw_digit(path, DIGIT, "label 7")
            drawn.append(path.read_bytes())
            draw_confusion(path, np.array([[9, 1], [0, 5]]), "1 of 15 wrong", "01")
            drawn.append(path.read_bytes())
    assert drawn[:2] == drawn[2:]


def test_a_count_stands_in_its_row_and_column(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = dict[tuple[float, float], tuple[str, str]]()

    def write(_: Axes, x: float, y: float, text: str, color: str, **__: Any) -> None:
        written[y, x] = text, color

    monkeypatch.setattr(Axes, "text", write)
    counts = [[70, 9, 0], [4, 60, 5], [1, 0, 50]]
    draw_confusion(path, np.array(counts), "", "012")
    found = [[written.pop((row, column)) for column in range(3)] for row in range(3)]
    assert not written
    assert [[int(text) for text, _ in row] for row in found] == counts
    pale = "#bbbbbb"
    colours = [[RIGHT, "white", pale], ["black", RIGHT, "white"], ["black", pale, RIGHT]]
    assert [[colour for _, colour in row] for row in found] == colours


def test_a_matrix_of_many_classes_is_still_a_picture_of_bounded_size(path: Path) -> None:
    draw_confusion(path, np.eye(200, dtype=np.int64), "None wrong", list(map(str, range(200))))
    assert read_png(path).shape == (2000, 2000)


def test_a_gallery_shows_each_pixel_as_a_square_of_its_grey_in_rows_of_ten(path: Path) -> None:
    heights = []
    for tiles in (0, 1, 10, 11, 60):
        draw_gallery(path, "", [Tile(np.array([[0, 255], [128, 0]], np.uint8), "")] * tiles)
        shown = read_png(path)
        heights.append(len(shown))
        assert [(shown == grey).sum() for grey in (0, 127)] == [57 * 57 * tiles] * 2
    row = heights[1] - heights[0]
    assert [height - heights[0] for height in heights] == [0, row, row, 2 * row, 6 * row]


def test_long_titles_stand_apart_from_the_next(path: Path) -> None:
    draw_gallery(path, "", [Tile(DIGIT, "predicted Ankle boot and more")] * 2)
    written = np.flatnonzero((read_png(path)[36:80] < 128).any(axis=0))
    assert np.diff(written).max() >= 16


def test_characters_that_the_own_font_lacks_are_of_a_font_of_the_machine_or_told_of(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text("no font")
    drawn = []
    for found, told in (([path], f"warning: no font here has '{FOREIGN}'; "), ([path, STIX], "")):
        monkeypatch.setattr(figures, "findSystemFonts", partial(map, str, found))
        fonts = find_fonts(["one", FOREIGN])
        assert re.fullmatch(f"({told}.*\n)?", capsys.readouterr().err)
        for draw in (
            partial(draw_confusion, confusion=np.eye(2, dtype=np.int64), names=["one", FOREIGN]),
            partial(draw_gallery, tiles=[Tile(DIGIT, FOREIGN)]),
        ):
            draw(path, title="", fonts=fonts)
            drawn.append(path.read_bytes())
    assert capsys.readouterr().err == ""
    assert len(set(drawn)) == 4


def test_names_that_the_own_font_has_need_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(figures, "findSystemFonts")
    assert find_fonts(["7", "Größe", "хлопок", "قطة"]) == []


def test_arabic_letters_are_joined_and_go_from_the_right(path: Path) -> None:
    draw_gallery(path, "", [Tile(DIGIT, "اببب")])
    written = np.flatnonzero((read_png(path)[40:66] < 128).any(axis=0))
    assert np.diff(written).tolist() == [1] * 16 + [3]


def test_galleries_show_samples_the_worst_mistakes_and_the_hardest_images() -> None:
    shares = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.5, 0.3, 0.2], [0.05, 0.05, 0.9]])
    predictions = Predictions(np.array([0, 0, 0, 1]), shares)
    pictures, names = np.arange(16, dtype=np.uint8).reshape(4, 2, 2), ("zero", "one", "two")
    rows = np.array([8, 6, 7, 9])
    shown = {
        name: (title, [(int(image[0, 0]) // 4, words, colour) for image, words, colour in tiles])
        for name, title, tiles in figures.galleries(predictions, pictures, rows, names, size=3)
    }
    wrong = [
        (3, "predicted two\nactual one\nrow index 9", WRONG),
        (1, "predicted one\nactual zero\nrow index 6", WRONG),
    ]
    assert shown["misclassified"] == ("Misclassified, worst first: 2 of 2", wrong)
    assert shown["samples"][1] == [(0, "predicted zero\nrow index 8", RIGHT), wrong[1], wrong[0]]
    assert [row for row, *_ in shown["hard"][1]] == [2, 1, 3]
    told = "\u2068zero\u2069: 50%, \u2068one\u2069: 30%\nactual zero\nrow index 7"
    assert shown["hard"][1][0][1:] == (told, RIGHT)
