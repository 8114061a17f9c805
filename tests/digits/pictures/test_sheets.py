import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.pictures.sheets import find_sheet
from tests.strokes import draw

SIZE = 200


def on_table(table: float, turn: float, digit: int = 3, pen: float = 24) -> NDArray[np.float64]:
    """Return a grey sheet of 110 x 110 pixels on a table, shape (SIZE, SIZE, 3)."""
    sheet = draw(digit, size=110, pen=pen, paper=(180, 180, 180)).convert("RGBA")
    sheet = sheet.rotate(turn, Image.Resampling.BICUBIC, expand=True)
    whole = Image.new("RGBA", (SIZE, SIZE), (int(table),) * 3)
    whole.alpha_composite(sheet, (40, 30))
    return np.asarray(whole.convert("RGB"), np.float64)


@pytest.mark.parametrize("table", [30, 110, 250])
@pytest.mark.parametrize("turn", [0, 8, -12])
def test_a_sheet_is_found_on_a_table(table: float, turn: float) -> None:
    sheet = find_sheet(on_table(table, turn))
    assert sheet.inside.sum() == pytest.approx((110 - 8) ** 2, rel=0.1)
    assert np.abs(sheet.paper[sheet.inside] - 180).max() < 5


@pytest.mark.parametrize("digit", [0, 4, 6, 8, 9])
@pytest.mark.parametrize("pen", [24, 50])
def test_the_inside_of_a_digit_is_no_sheet(digit: int, pen: float) -> None:
    picture = draw(digit, size=SIZE, pen=pen)
    box = Image.eval(picture.convert("L"), lambda grey: 255 - grey).getbbox()
    for one in (picture, picture.crop(box)):
        sheet = find_sheet(np.asarray(one, np.float64))
        assert sheet.inside.mean() > 0.9
        assert np.abs(sheet.paper - 255).max() < 5


def test_of_a_table_with_a_blank_sheet_all_is_taken() -> None:
    picture = np.full((SIZE, SIZE, 3), 60.0)
    picture[40:150, 40:150] = 220
    assert find_sheet(picture).inside.all()


def test_paper_is_found_under_ink_and_uneven_light() -> None:
    down, across = np.mgrid[0 : 1 : SIZE * 1j, 0 : 1 : SIZE * 1j]
    lit = 230 * (1 - 0.4 * across - 0.2 * down**2)[..., np.newaxis] * np.ones(3)
    picture = lit.copy()
    picture[40:160, 80:120] = 20
    assert np.abs(find_sheet(picture).paper - lit).max() < 4
