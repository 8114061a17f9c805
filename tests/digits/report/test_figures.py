from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.report.figures import draw_confusion, draw_curves, draw_digit

DIGIT = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16


def read_png(path: Path) -> NDArray[np.uint8]:
    """Return the greys of a picture, shape (height, width)."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def draw_all(folder: Path) -> None:
    draw_digit(folder / "digit.png", DIGIT, "label 7")
    draw_confusion(folder / "confusion.png", np.array([[9, 1], [0, 5]]), "1 of 15 wrong", "01")
    draw_curves(folder / "training.png", [1.0, 0.5], [0.9, 0.6], [0.8, 0.9])


def test_figures_are_the_same_bytes_each_time_whatever_the_users_settings(tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    draw_all(first)
    with mpl.rc_context({"font.size": 30, "savefig.facecolor": "red", "image.cmap": "jet"}):
        draw_all(again)
    files = sorted(first.iterdir())
    assert [file.name for file in files] == [
        "confusion.png",
        "digit.png",
        "training.png",
    ]
    for file in files:
        assert file.read_bytes() == (again / file.name).read_bytes()
        with Image.open(file) as picture:
            assert "Software" not in picture.info


def test_a_matrix_of_many_classes_is_still_a_picture_of_bounded_size(tmp_path: Path) -> None:
    names = list(map(str, range(200)))
    draw_confusion(tmp_path / "confusion.png", np.eye(200, dtype=np.int64), "None wrong", names)
    assert read_png(tmp_path / "confusion.png").shape == (2000, 2000)


def test_the_names_of_classes_stand_beside_the_matrix(tmp_path: Path) -> None:
    drawn = []
    for names in (["$Boot", "Shirt_$"], ["$Boat", "Shirt_$"]):
        draw_confusion(tmp_path / "confusion.png", np.eye(2, dtype=np.int64), "None wrong", names)
        drawn.append(read_png(tmp_path / "confusion.png"))
    rows, columns = np.nonzero(drawn[0] != drawn[1])
    above, beside = columns[rows < 130], rows[columns < 130]
    assert len(above) + len(beside) == len(rows)
    assert len(above) > 0
    assert len(beside) > 0
