import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
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


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> Figure:
    """Return the figure that is drawn next, which becomes no file."""
    figure = Figure()

    @contextmanager
    def keep(*_: object) -> Iterator[Figure]:
        yield figure

    monkeypatch.setattr(figures, "saved_figure", keep)
    return figure


def test_a_count_stands_in_its_row_and_column_and_errors_alone_have_colours(figure: Figure) -> None:
    counts = [[70, 9, 0], [4, 60, 5], [1, 0, 50]]
    draw_confusion(Path(), np.array(counts), "19 of 199 wrong", ["0", "$1", "2$"])
    [axes] = figure.axes
    [image] = axes.images
    assert np.asarray(image.get_array()).tolist() == [[0, 9, 0], [4, 0, 5], [1, 0, 0]]
    assert (image.get_clim(), image.get_cmap().name) == ((0, 9), "Reds")
    written = {text.get_position()[::-1]: text for text in axes.texts}
    found = [[written.pop((row, column)) for column in range(3)] for row in range(3)]
    assert not written
    assert [[int(text.get_text()) for text in row] for row in found] == counts
    pale = "#bbbbbb"
    colours = [[RIGHT, "white", pale], ["black", RIGHT, "white"], ["black", pale, RIGHT]]
    assert [[text.get_color() for text in row] for row in found] == colours
    bold = [[text.get_fontweight() == "bold" for text in row] for row in found]
    assert np.array_equal(bold, np.eye(3, dtype=np.bool_))
    said = axes.get_title(), axes.get_xlabel(), axes.get_ylabel()
    assert said == ("19 of 199 wrong", "predicted", "actual")
    assert axes.xaxis.get_label_position() == axes.xaxis.get_ticks_position() == "top"


@pytest.mark.parametrize(("name", "rotation"), [("one", 0), ("four", 90)])
def test_classes_are_named_as_they_are_across_and_down(
    figure: Figure, name: str, rotation: int
) -> None:
    names = [name, "$1$", r"$\x"]
    draw_confusion(Path(), np.eye(3, dtype=np.int64), "", names)
    [axes] = figure.axes
    for axis, turn in ((axes.xaxis, rotation), (axes.yaxis, 0)):
        labels = axis.get_ticklabels()
        assert [label.get_text() for label in labels] == names
        assert {(label.get_rotation(), label.get_parse_math()) for label in labels} == {
            (turn, False)
        }
        assert list(axis.get_ticklocs()) == [0, 1, 2]


def test_more_than_30_classes_have_no_counts(figure: Figure) -> None:
    draw_confusion(Path(), np.eye(30, dtype=np.int64), "", ["a"] * 30)
    draw_confusion(Path(), np.eye(31, dtype=np.int64), "", ["a"] * 31)
    assert [len(axes.texts) for axes in figure.axes] == [900, 0]


@pytest.mark.parametrize(("classes", "size"), [(2, 550), (10, 740), (200, 2000)])
def test_a_matrix_of_any_classes_is_a_picture_of_bounded_size(
    path: Path, classes: int, size: int
) -> None:
    names = list(map(str, range(classes)))
    draw_confusion(path, np.eye(classes, dtype=np.int64), "None wrong", names)
    assert read_png(path).shape == (size, size)


def test_a_digit_is_drawn_in_its_greys_under_its_title_as_it_is(path: Path) -> None:
    figures.draw_digit(path, np.full((2, 2), 100, np.uint8), r"label $\frac")
    shown = read_png(path)
    assert shown.shape == (440, 400)
    assert (shown == 155).mean() > 0.5


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


@pytest.mark.parametrize(("side", "tile"), [(4, 114), (200, 202)])
def test_images_of_a_gallery_lie_in_columns_below_their_lines(
    path: Path, side: int, tile: int
) -> None:
    image = np.full((side, side), 55, np.uint8)
    draw_gallery(path, "Hn", [Tile(image, "nn\nnn", WRONG)] * 10 + [Tile(image, "gn", RIGHT)])
    with Image.open(path) as picture:
        shown = np.asarray(picture.convert("RGB")).astype(np.int64)
    height, width, _ = shown.shape
    frames = np.argwhere((shown == 191).all(axis=2))
    (first, left), (last, right) = frames.min(axis=0), frames.max(axis=0)
    assert (height - 1 - last, left) == (16, width - 1 - right)
    assert (frames[:, 0] == first).sum() == 10 * tile
    heading = np.argwhere((shown[:36] == 0).all(axis=2))
    assert (heading.min(axis=0).tolist(), heading[:, 0].max()) == ([13, 16], 26)
    for top, colour, lines in ((first, WRONG, (16, 0)), (last - tile + 1, RIGHT, (0,))):
        rgb = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        rows, columns = np.nonzero((shown[:, : left + tile] == rgb).all(axis=2))
        expected = [top - 9 - higher - row for higher in lines for row in range(6, -1, -1)]
        assert np.unique(rows).tolist() == expected
        assert columns.min() + columns.max() == pytest.approx(2 * left + tile - 1, abs=1)


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
            partial(draw_gallery, tiles=[Tile(DIGIT, "")]),
            partial(figures.draw_digit, image=DIGIT),
        ):
            draw(path, title=FOREIGN, fonts=fonts)
            drawn.append(path.read_bytes())
    assert capsys.readouterr().err == ""
    assert len(set(drawn)) == 6


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
    assert shown["samples"][0] == "Sample predictions; red: wrong"
    assert shown["hard"][0] == "Hard to predict, most evenly divided first; red: wrong"
    assert shown["samples"][1] == [(0, "predicted zero\nrow index 8", RIGHT), wrong[1], wrong[0]]
    assert [row for row, *_ in shown["hard"][1]] == [2, 1, 3]
    told = "\u2068zero\u2069: 50%, \u2068one\u2069: 30%\nactual zero\nrow index 7"
    assert shown["hard"][1][0][1:] == (told, RIGHT)
    few = [list(figures.galleries(predictions, pictures, rows, names, size)) for size in (1, 9)]
    assert [[len(tiles) for *_, tiles in one] for one in few] == [[1, 1, 1], [4, 2, 4]]
    assert few[0][1][1] == "Misclassified, worst first: 1 of 2"


def test_the_first_regular_font_comes_before_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(tmp_path / name) for name in ("a.ttf", "z-Regular.ttf", "y-Regular.ttf")]
    for path in paths:
        Path(path).symlink_to(STIX)
    added = list[str]()
    monkeypatch.setattr("digits.report.figures.fontManager.addfont", added.append)
    monkeypatch.setattr(figures, "findSystemFonts", lambda: paths)
    assert find_fonts([FOREIGN]) == ["STIXGeneral"]
    assert added == paths[2:]
