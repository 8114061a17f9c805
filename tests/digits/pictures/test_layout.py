import numpy as np
import pytest
from numpy.typing import NDArray

from digits.pictures.layout import Box, share_out
from tests.strokes import draw

SIZE = 60


def ink(digit: int) -> NDArray[np.float64]:
    """Return the ink of a digit, shape (SIZE, SIZE)."""
    return 1 - np.asarray(draw(digit, size=SIZE, mode="L", paper=255, ink=0), np.float64) / 255


def lefts_and_tops(found: list[Box]) -> list[tuple[int, int]]:
    return [(round(box.left / SIZE - 0.3), round(box.top / SIZE - 0.15)) for box in found]


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("sheet", [False, True])
def test_one_digit_is_one(digit: int, sheet: bool) -> None:
    [found] = share_out(ink(digit), sheet=sheet)
    rows, columns = np.nonzero(ink(digit) > 0.5)
    assert found.box == Box(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
    assert found.ink.sum() == pytest.approx(ink(digit).sum())


@pytest.mark.parametrize("sheet", [False, True])
def test_digits_are_told_row_by_row_and_from_left_to_right(sheet: bool) -> None:
    rows = [[3, 1, 7], [4, 8, 2]]
    page = np.vstack([np.hstack([ink(digit) for digit in row]) for row in rows])
    page[:, SIZE : 2 * SIZE] = np.roll(page[:, SIZE : 2 * SIZE], 3, axis=0)  # no hand keeps a line
    found = share_out(page, sheet=sheet)
    expected = [(across, down) for down in range(2) for across in range(3)]
    assert lefts_and_tops([digit.box for digit in found]) == expected
    sums = [ink(digit).sum() for row in rows for digit in row]
    assert [digit.ink.sum() for digit in found] == pytest.approx(sums)


def test_strokes_that_nearly_touch_are_of_one_digit() -> None:
    five = ink(5)
    five[16:18] = 0  # its bar is apart
    assert len(share_out(five)) == len(share_out(five, sheet=True)) == 1


def test_what_is_not_clear_is_several_only_on_a_sheet() -> None:
    close = np.hstack([ink(3)[:, 10:50], ink(8)[:, 17:]])
    assert len(share_out(close)) == 1
    assert len(share_out(close, sheet=True)) == 2


def test_specks_far_from_a_digit_are_none() -> None:
    page = np.zeros((SIZE * 2, SIZE * 2))
    page[:SIZE, :SIZE] = ink(6)
    expected = share_out(page)
    page[100:103, 100:104] = 1
    [found] = share_out(page, sheet=True)
    assert found.box == expected[0].box
    assert np.array_equal(found.ink, expected[0].ink)
