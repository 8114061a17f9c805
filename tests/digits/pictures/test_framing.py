import numpy as np
import pytest
from PIL import Image

from digits.pictures.framing import Digit, frame, is_framed, measure_pen, prepare
from tests.strokes import draw

SIDE = 28


def only(picture: Image.Image, side: int = SIDE) -> Digit:
    [digit] = prepare(picture.convert("RGB"), side)
    return digit


@pytest.mark.parametrize("side", [28, 57])
def test_white_ink_fits_the_box_and_its_centre_of_mass_is_the_middle_of_black(side: int) -> None:
    upright, *_ = only(draw(4, paper=(200, 190, 180), ink=(90, 80, 90)), side).views
    pixels = upright.reshape(side, side)
    places = np.argwhere(pixels > 127)
    assert max(np.ptp(places, axis=0) + 1) == pytest.approx(side * 20 / 28, rel=0.06)
    centre = [np.average(np.arange(side) + 0.5, weights=pixels.sum(axis=axis)) for axis in (0, 1)]
    assert centre == pytest.approx([side / 2, side / 2], abs=0.2)
    assert (pixels > 240).sum() > 30
    assert (pixels == 0).mean() > 0.7


@pytest.mark.parametrize(("pen", "width"), [(3, 2.4), (10, 2.4), (28, 2.8), (45, 3.2), (60, 3.2)])
def test_pens_become_as_broad_as_mnists(pen: float, width: float) -> None:
    pixels = only(draw(4, pen=pen, size=250)).views[0].reshape(SIDE, SIDE)
    assert measure_pen(pixels > 127) == pytest.approx(width, abs=0.2 if pen == 28 else 0.5)
    assert pixels.max() >= 250
    assert max(np.ptp(np.argwhere(pixels > 127), axis=0) + 1) == pytest.approx(20, abs=2)


def test_specks_far_from_the_ink_change_nothing() -> None:
    ink = np.zeros((100, 100))
    ink[20:60, 40:46] = 1
    expected = frame(ink, SIDE)
    ink[95, 3] = 1
    assert np.array_equal(frame(ink, SIDE), expected)


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ((4, 24), (13, 15), True),
        ((15, 26), (0, 28), True),  # a shoe
        ((0, 20), (13, 15), False),
        ((9, 19), (13, 15), False),
        ((0, 0), (0, 0), False),
    ],
)
def test_a_picture_whose_ink_is_in_the_box_or_fills_it_stays_as_it_is_or_its_negative(
    rows: tuple[int, int], columns: tuple[int, int], expected: bool
) -> None:
    light = np.zeros((SIDE, SIDE), np.uint8)
    light[slice(*rows), slice(*columns)] = 200
    assert is_framed(light) == expected
    for picture in (light, 255 - light) if expected else ():
        found = only(Image.fromarray(picture))
        assert np.array_equal(found.views, light.reshape(1, -1))
        assert found.place == (0, 0, SIDE, SIDE)


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (2, 3), (3, 400)])
def test_a_picture_of_any_shape_is_framed(shape: tuple[int, int]) -> None:
    ink = np.zeros(shape)
    ink[-1, -1] = 0.4
    image = frame(ink, SIDE)
    assert image.max() == 1
    assert image[0].max() == 0
