from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.pictures.framing import Digit, frame, is_framed, measure_pen, prepare, redraw
from digits.pictures.ink import BlankError
from digits.pictures.reading import LARGEST
from tests.strokes import draw

SIDE = 28


def only(picture: Image.Image, side: int = SIDE) -> Digit:
    [digit] = prepare(picture.convert("RGB"), side)
    return digit


def prepared(digit: int, *, side: int = SIDE, size: int = 112, **options: Any) -> NDArray[np.int64]:
    upright, *_ = only(draw(digit, size=size, **options), side).views
    return np.asarray(upright.reshape(side, side), np.int64)


@pytest.mark.parametrize("digit", [4, 8])
@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"paper": (0, 0, 0), "ink": (255, 255, 255)}, 0.5),
        ({"paper": (250, 240, 200), "ink": (30, 40, 140)}, 1),
        ({"size": 300}, 6),
        ({"size": 60}, 6),
        ({"size": 250, "share": 0.4, "corner": (0.55, 0.1)}, 6),
    ],
)
def test_a_digit_is_prepared_alike_whatever_its_colour_size_and_place(
    digit: int, options: dict[str, Any], difference: float
) -> None:
    assert np.abs(prepared(digit) - prepared(digit, **options)).mean() < difference


@pytest.mark.parametrize("side", [28, 57])
def test_white_ink_fits_the_box_and_its_centre_of_mass_is_the_middle_of_black(side: int) -> None:
    pixels = prepared(4, side=side, paper=(200, 190, 180), ink=(90, 80, 90))
    places = np.argwhere(pixels > 127)
    assert max(np.ptp(places, axis=0) + 1) == pytest.approx(side * 20 / 28, rel=0.06)
    centre = [np.average(np.arange(side) + 0.5, weights=pixels.sum(axis=axis)) for axis in (0, 1)]
    assert centre == pytest.approx([side / 2, side / 2], abs=0.2)
    assert (pixels > 240).sum() > 30
    assert (pixels == 0).mean() > 0.7


@pytest.mark.parametrize(
    ("pen", "width"), [(3, 2.4), (4, 2.4), (10, 2.4), (28, 2.8), (45, 3.2), (60, 3.2)]
)
def test_pens_become_as_broad_as_mnists(pen: float, width: float) -> None:
    pixels = prepared(4, pen=pen, size=250)
    assert measure_pen(pixels > 127) == pytest.approx(width, abs=0.2 if pen == 28 else 0.5)
    assert pixels.max() >= 250
    assert max(np.ptp(np.argwhere(pixels > 127), axis=0) + 1) == pytest.approx(20, abs=2)


def test_a_digit_is_seen_upright_and_turned_both_ways() -> None:
    upright, *turned = only(draw(1, size=200)).views.reshape(-1, SIDE, SIDE)
    columns = [np.ptp(np.nonzero((view > 127).any(axis=0))) for view in (upright, *turned)]
    assert len(turned) == 2
    assert min(columns[1:]) > columns[0]


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


@pytest.mark.parametrize("place", [(slice(0, 20), slice(13, 15)), (slice(9, 19), slice(13, 15))])
def test_a_picture_of_the_networks_own_size_is_framed_where_mnist_has_its_digit_elsewhere(
    place: tuple[slice, slice],
) -> None:
    greys = np.zeros((SIDE, SIDE), np.uint8)
    greys[place] = 255
    upright = only(Image.fromarray(greys)).views[0].reshape(SIDE, SIDE)
    rows, columns = np.nonzero(upright > 127)
    assert np.ptp(rows) + 1 == pytest.approx(20, abs=1)
    assert (rows.mean(), columns.mean()) == pytest.approx((13.5, 13.5), abs=0.5)


def test_what_fills_its_image_counts_as_framed() -> None:
    shoe = np.zeros((SIDE, SIDE), np.uint8)
    shoe[15:26] = 200
    assert is_framed(shoe)


@pytest.mark.parametrize("size", [100, 400])
def test_a_digit_has_its_place_in_a_small_picture_as_in_a_large_one(size: int) -> None:
    expected = np.array([121, 26, 43, 233]) / 280
    assert np.array(only(draw(1, size=size, pen=28)).place) / size == pytest.approx(
        expected, abs=0.02
    )


def test_a_blank_picture_of_the_networks_own_size_is_refused() -> None:
    with pytest.raises(BlankError):
        only(Image.new("L", (SIDE, SIDE), 200))


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


@pytest.mark.parametrize("width", [3, 9])
def test_the_width_of_strokes_is_measured_upright_and_aslant(width: int) -> None:
    down, across = np.mgrid[:100, :100]
    assert measure_pen(np.abs(across - 50) <= width // 2) == pytest.approx(width, rel=0.1)
    aslant = np.abs(across - down) <= width // 2
    assert measure_pen(aslant) == pytest.approx(width / np.sqrt(2), rel=0.1)


def test_a_point_becomes_a_disc() -> None:
    ink = np.zeros((15, 15))
    ink[7, 7] = 0.5
    down, across = np.mgrid[-7:8, -7:8]
    broad, distance = redraw(ink, 9, 10), np.hypot(down, across)
    assert (broad[distance <= 4] == 1).all()
    assert (broad[distance > 5.5] == 0).all()
