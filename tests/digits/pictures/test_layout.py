import numpy as np
import pytest
from numpy.typing import NDArray

from digits.pictures.layout import share_out
from tests.strokes import draw

SIZE = 60


def ink(digit: int) -> NDArray[np.float64]:
    """Return the ink of a digit, shape (SIZE, SIZE)."""
    return 1 - np.asarray(draw(digit, size=SIZE), np.float64)[..., 0] / 255


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("sheet", [False, True])
def test_one_digit_is_one_without_specks_far_from_it(digit: int, sheet: bool) -> None:
    page = np.pad(ink(digit), (0, SIZE))
    page[100:103, 100:104] = sheet
    [(box, found)] = share_out(page, sheet=sheet)
    rows, columns = np.nonzero(ink(digit) > 0.5)
    edges = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    assert box == edges
    assert found.sum() == pytest.approx(ink(digit).sum())


@pytest.mark.parametrize("sheet", [False, True])
def test_digits_are_told_row_by_row_and_from_left_to_right(sheet: bool) -> None:
    rows = [[3, 1, 7], [4, 8, 2]]
    page = np.vstack([np.hstack([ink(digit) for digit in row]) for row in rows])
    page[:, SIZE : 2 * SIZE] = np.roll(page[:, SIZE : 2 * SIZE], 3, axis=0)  # no hand keeps a line
    found = share_out(page, sheet=sheet)
    places = [(down.start // SIZE, across.start // SIZE) for (down, across), _ in found]
    assert places == [(row, column) for row in range(2) for column in range(3)]
    sums = [ink(digit).sum() for row in rows for digit in row]
    assert [strokes.sum() for _, strokes in found] == pytest.approx(sums)


def test_a_row_ends_where_the_middle_of_the_next_digit_lies_below_it() -> None:
    [(down, _), _] = share_out(ink(1))[0]
    tall = down.stop - down.start
    for lower, expected in ((0.4, [0, 1, 2]), (0.6, [0, 2, 1])):  # by so much of its height
        page = np.zeros((2 * SIZE, 3 * SIZE))
        for column, share in enumerate((0, lower, 0)):
            start = round(share * tall)
            page[start : start + SIZE, column * SIZE : (column + 1) * SIZE] = ink(1)
        found = share_out(page, sheet=True)
        assert [across.start // SIZE for (_, across), _ in found] == expected


def test_strokes_that_nearly_touch_are_of_one_digit_and_what_is_close_of_two_on_a_sheet() -> None:
    five = ink(5)
    five[16:18] = 0  # its bar is apart
    assert len(share_out(five)) == len(share_out(five, sheet=True)) == 1
    close = np.hstack([ink(3)[:, 10:50], ink(8)[:, 17:]])
    assert len(share_out(close)) == 1
    assert len(share_out(close, sheet=True)) == 2
