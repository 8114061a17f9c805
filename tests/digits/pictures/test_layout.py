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


Box = tuple[int, int, int, int]  # top, bottom, left and right


def boxes_of(*boxes: Box, sheet: bool = False) -> list[Box]:
    """Return the boxes of the digits of a page on which these are inked."""
    page = np.zeros((340, 340))
    for top, bottom, left, right in boxes:
        page[top:bottom, left:right] = 1
    found = share_out(page, sheet=sheet)
    return [(down.start, down.stop, across.start, across.stop) for (down, across), _ in found]


def turn(box: Box) -> Box:
    return (*box[2:], *box[:2])


TALL = (20, 120, 50, 60)


@pytest.mark.parametrize(
    ("other", "digits", "on_sheet"),
    [
        ((20, 120, 80, 90), 2, 2),
        ((20, 120, 79, 90), 1, 2),
        ((20, 120, 71, 90), 1, 2),
        ((20, 120, 70, 90), 1, 1),
        ((20, 120, 20, 30), 2, 2),
        ((20, 120, 21, 31), 1, 2),
        ((20, 80, 80, 90), 2, 2),
        ((20, 79, 80, 90), 1, 2),
        ((20, 60, 80, 90), 1, 2),
        ((20, 59, 80, 90), 1, 1),
        ((140, 240, 50, 60), 2, 2),
        ((139, 239, 50, 60), 1, 2),
        ((139, 239, 79, 89), 1, 2),
        ((139, 239, 80, 90), 2, 2),
        ((127, 227, 67, 77), 1, 1),  # what is close of both touches by corners
        ((0, 140, 80, 180), 1, 2),
    ],
)
def test_digits_are_large_and_alike_and_apart_by_shares_of_the_largest(
    other: Box, digits: int, on_sheet: int
) -> None:
    for boxes in ((TALL, other), (other, TALL), (turn(TALL), turn(other))):
        assert len(boxes_of(*boxes)) == digits
        assert len(boxes_of(*boxes, sheet=True)) == on_sheet


def test_a_row_begins_with_the_digit_whose_middle_is_the_highest() -> None:
    tall, high = (0, 100, 0, 10), (1, 42, 40, 50)
    assert boxes_of(tall, high, sheet=True) == [high, tall]
    assert boxes_of((0, 1, 0, 30)) == [(0, 1, 0, 30)]


def test_pale_ink_is_of_the_nearest_digit_if_it_is_close() -> None:
    page = np.zeros((200, 200))
    page[5:105, 40:50] = page[5:105, 80:90] = 1
    page[50, [28, 29, 60, 61, 68, 69, 100, 101]] = np.arange(1, 9) / 20
    [(_, one), (box, other)] = share_out(page)
    assert one.shape == other.shape == (5 + 100 + 11, 11 + 10 + 11)
    assert box == (slice(5, 105), slice(80, 90))
    assert np.unique(one).tolist() == [0, 0.1, 0.15, 1]
    assert np.unique(other).tolist() == [0, 0.3, 0.35, 1]
