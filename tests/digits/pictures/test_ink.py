from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.pictures.ink import BlankError, find_ink, find_sheet, otsu
from tests.strokes import draw

SIZE = 200


def drawn(digit: int = 4, **options: Any) -> NDArray[np.float64]:
    """Return a picture of a digit, shape (SIZE, SIZE, 3)."""
    return np.asarray(draw(digit, size=SIZE, **options), np.float64)


def test_ink_of_any_colour_is_told_from_paper_of_any_other() -> None:
    for paper, ink in (
        ((0, 0, 0), (255, 255, 255)),
        ((250, 240, 200), (30, 40, 140)),
        ((0, 128, 0), (210, 26, 20)),  # as light as each other
        ((120, 120, 120), (150, 150, 150)),
    ):
        found = find_ink(drawn(paper=paper, ink=ink))
        assert np.abs(found - (1 - drawn()[..., 0] / 255)).max() < 0.05


def test_a_picture_without_ink_is_blank_and_weak_ink_is_not() -> None:
    even = np.full((SIZE, SIZE, 3), 200.0)
    noise = np.random.default_rng(0).normal(0, 1, even.shape)
    unevenly_lit = even * np.linspace(1, 0.5, SIZE)[:, np.newaxis] + 2 * noise
    chequered = np.indices((20, 20, 3))[:2].sum(axis=0) % 2 * 255.0
    one_pixel, faint, weak = even[:1, :1], 200 + drawn() / 60, 200 + drawn() / 20
    for picture in (even, even + 6 * noise, one_pixel, unevenly_lit, faint, chequered):
        with pytest.raises(BlankError, match="blank"):
            find_ink(picture)
    assert find_ink(weak).max() == 1


def test_otsus_threshold_divides_an_even_spread_in_its_middle_and_a_gap_in_its_own() -> None:
    assert 127 <= otsu(np.arange(256.0)) < 128
    assert otsu(np.repeat([0.0, 64.0, 192.0, 256.0], [9, 9, 5, 5])) == pytest.approx(128, abs=1)


@pytest.mark.parametrize("digit", [0, 4, 6, 8, 9])
@pytest.mark.parametrize("pen", [24, 50])
def test_the_inside_of_a_digit_is_no_sheet(digit: int, pen: float) -> None:
    whole = drawn(digit, pen=pen)
    rows, columns = np.nonzero(whole[..., 0] < 255)
    tight = whole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    for picture in (whole, tight):  # the digit reaches the border: that is no frame either
        paper, inside = find_sheet(picture)
        assert inside.mean() > 0.9
        assert np.abs(paper - 255).max() < 5
        assert np.abs(find_ink(picture) - (1 - picture[..., 0] / 255)).max() < 0.05
