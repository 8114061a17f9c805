import numpy as np
import pytest
from PIL import Image

from digits.pictures.framing import (
    Digit,
    find_digits,
    frame,
    is_framed,
    measure_pen,
    prepare,
    redraw,
)
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
        ((6, 26), (13, 15), True),
        ((2, 22), (13, 15), True),
        ((6, 27), (13, 15), False),
        ((1, 22), (13, 15), False),
        ((5, 23), (13, 15), True),
        ((5, 22), (13, 15), False),
        ((3, 25), (13, 15), True),
        ((3, 26), (13, 15), False),
        ((0, 27), (2, 4), True),
        ((0, 26), (2, 4), False),
    ],
)
def test_a_picture_whose_ink_is_in_the_box_or_fills_it_stays_as_it_is_or_its_negative(
    rows: tuple[int, int], columns: tuple[int, int], expected: bool
) -> None:
    light = np.zeros((SIDE, SIDE), np.uint8)
    light[slice(*rows), slice(*columns)] = 200
    assert is_framed(light) == is_framed(light.T) == expected
    for picture in (light, 255 - light) if expected else ():
        found = only(Image.fromarray(picture))
        assert np.array_equal(found.views, light.reshape(1, -1))
        assert found.place == (0, 0, SIDE, SIDE)


def test_a_picture_is_its_negative_where_most_of_its_border_is_above_the_middle_of_greys() -> None:
    greys = np.full((SIDE, SIDE), 127, np.uint8)
    greys[4:24, 13:15] = 255
    assert np.array_equal(only(Image.fromarray(greys)).views, greys.reshape(1, -1))
    greys[0] = greys[-1] = greys[:, 0] = greys[:, -1] = 128
    assert np.array_equal(only(Image.fromarray(greys)).views, 255 - greys.reshape(1, -1))


def test_ink_is_above_25_levels_and_stands_out_by_8() -> None:
    light = np.zeros((SIDE, SIDE), np.uint8)
    light[4:24, 13:15] = 255
    pale = np.full((SIDE, SIDE), 30, np.uint8)
    for level, contrast, expected in ((25, 8, [True, True]), (26, 7, [False, False])):
        light[26, 14], pale[0, 0] = level, 30 + contrast
        assert [is_framed(light), is_framed(pale)] == expected


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (2, 3), (3, 400)])
def test_a_picture_of_any_shape_is_framed(shape: tuple[int, int]) -> None:
    ink = np.zeros(shape)
    ink[-1, -1] = 0.4
    image = frame(ink, SIDE)
    assert image.max() == 1
    assert image[0].max() == 0


def test_a_bar_as_broad_as_a_pen_fills_the_box_in_its_middle() -> None:
    image = frame(np.pad(np.ones((100, 15)), ((9, 0), (0, 40))), SIDE)
    expected = np.zeros((SIDE, SIDE))
    expected[4:24, 12:16] = 0.5, 1, 1, 0.5
    assert image == pytest.approx(expected)


def test_views_are_upright_and_turned_both_ways() -> None:
    drawn = draw(4, size=200)
    for view, angle in zip(only(drawn).views.astype(int), (0, -15, 15), strict=True):
        turned = drawn.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255))
        assert np.abs(view - only(turned).views[0]).max() <= 40


@pytest.mark.parametrize(("slope", "width"), [(0, 21), (1, 21 / 2**0.5)])
def test_the_pen_of_a_bar_is_its_width(slope: int, width: float) -> None:
    across = np.arange(-300, 300)
    bar = np.abs(across - slope * across[:, np.newaxis]) <= 10
    assert measure_pen(bar) == pytest.approx(width, rel=0.04)


@pytest.mark.parametrize(("least", "most"), [(1, 8), (14, 20)])
def test_a_bar_is_redrawn_as_much_broader_or_thinner_as_its_pen(least: float, most: float) -> None:
    bar = np.pad(np.full((12, 100), 0.8), 20)
    pen = measure_pen(bar > 0)
    width = 12 + np.clip(pen, least, most) - pen
    profile = redraw(bar, least, most)[:, 70]
    assert profile.sum() == pytest.approx(width)
    assert np.array_equal(profile, profile[::-1])
    assert (profile == 1).sum() == 2 * (width // 2)
    for limits in ((pen, most + 20), (0, pen)):
        assert np.array_equal(redraw(bar, *limits), bar / 0.8)


def test_places_are_in_pixels_of_the_picture_however_small_or_large() -> None:
    for size in (50, 200, 900):
        [digit] = find_digits(draw(4, size=size), SIDE)
        rows, columns = np.nonzero(np.asarray(draw(4, size=size).convert("L")) < 128)
        place = columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1
        assert digit.place == pytest.approx(place, abs=3)


def test_digits_that_are_close_are_several_on_a_sheet_alone() -> None:
    greys = np.full((100, 100, 3), 255, np.uint8)
    greys[20:80, 40:46] = greys[20:80, 54:60] = 0
    close = Image.fromarray(greys)
    assert len(prepare(close, SIDE)) == len(find_digits(close, SIDE)) == 1
    lefts = [digit.place[0] for digit in prepare(close, SIDE, times=2, sheet=True)]
    assert lefts == pytest.approx([80, 108], abs=2)
    assert len(find_digits(close, SIDE, sheet=True)) == 2
