from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.pictures.framing import Digit, frame, is_framed, measure_pen, prepare
from digits.pictures.reading import LARGEST
from tests.strokes import draw

SIDE = 28


def only(picture: Image.Image, side: int = SIDE) -> Digit:
    [digit] = prepare(picture.convert("RGB"), side)
    return digit


def prepared(side: int = SIDE, **options: Any) -> NDArray[np.int64]:
    upright, *_ = only(draw(4, **options), side).views
    return np.asarray(upright.reshape(side, side), np.int64)


@pytest.mark.parametrize("side", [28, 57])
def test_white_ink_fits_the_box_and_its_centre_of_mass_is_the_middle_of_black(side: int) -> None:
    pixels = prepared(side, paper=(200, 190, 180), ink=(90, 80, 90))
    places = np.argwhere(pixels > 127)
    assert max(np.ptp(places, axis=0) + 1) == pytest.approx(side * 20 / 28, rel=0.06)
    centre = [np.average(np.arange(side) + 0.5, weights=pixels.sum(axis=axis)) for axis in (0, 1)]
    assert centre == pytest.approx([side / 2, side / 2], abs=0.2)
    assert (pixels > 240).sum() > 30
    assert (pixels == 0).mean() > 0.7


@pytest.mark.parametrize(("pen", "width"), [(3, 2.4), (10, 2.4), (28, 2.8), (45, 3.2), (60, 3.2)])
def test_pens_become_as_broad_as_mnists(pen: float, width: float) -> None:
    pixels = prepared(pen=pen, size=250)
    assert measure_pen(pixels > 127) == pytest.approx(width, abs=0.2 if pen == 28 else 0.5)
    assert pixels.max() >= 250
    assert max(np.ptp(np.argwhere(pixels > 127), axis=0) + 1) == pytest.approx(20, abs=2)


def test_specks_far_from_the_ink_change_nothing() -> None:
    ink = np.zeros((100, 100))
    ink[20:60, 40:46] = 1
    expected = frame(ink, SIDE)
    ink[95, 3] = 1
    assert np.array_equal(frame(ink, SIDE), expected)


@pytest.mark.parametrize("negative", [False, True])
def test_a_picture_of_the_networks_own_size_stays_as_it_is(negative: bool) -> None:
    greys = np.zeros((SIDE, SIDE), np.uint8)
    greys[4:24, 13:15] = np.arange(40).reshape(20, 2) % 30 + 200
    found = only(Image.fromarray(255 - greys if negative else greys))
    assert np.array_equal(found.views, greys.reshape(1, -1))
    assert found.place == (0, 0, SIDE, SIDE)


def test_what_counts_as_framed_has_its_ink_in_the_box_or_fills_its_image() -> None:
    for rows, columns, expected in [
        ((4, 24), (13, 15), True),
        ((15, 26), (0, 28), True),  # a shoe
        ((0, 20), (13, 15), False),
        ((9, 19), (13, 15), False),
        ((0, 0), (0, 0), False),
    ]:
        light = np.zeros((SIDE, SIDE), np.uint8)
        light[slice(*rows), slice(*columns)] = 200
        assert is_framed(light) == expected


@pytest.mark.parametrize("size", [100, 400])
def test_a_digit_has_its_place_in_a_small_picture_as_in_a_large_one(size: int) -> None:
    place = np.array(only(draw(1, size=size, pen=28)).place) / size
    assert place == pytest.approx(np.array([121, 26, 43, 233]) / 280, abs=0.02)


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (2, 3), (3, 400)])
def test_a_picture_of_any_shape_is_framed(shape: tuple[int, int]) -> None:
    ink = np.zeros(shape)
    ink[-1, -1] = 0.4
    image = frame(ink, SIDE)
    assert image.max() == 1
    assert image[0].max() == 0


def test_a_picture_one_pixel_wide_is_seen_turned_as_well() -> None:
    greys = np.zeros((LARGEST, 1), np.uint8)
    greys[300:340] = 255
    assert (only(Image.fromarray(greys)).views.max(axis=1) == 255).all()
