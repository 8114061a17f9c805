from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from digits.pictures.ink import BlankError, border, find_ink, find_sheet, otsu
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
    for ones in ([0.0], [256.0]):
        assert otsu(np.array(ones + 9 * [128.0])) == pytest.approx(64 + ones[0] / 2, abs=1)


def test_otsus_threshold_has_the_most_variance_between_the_classes_of_256_bins() -> None:
    values = np.random.default_rng(0).normal([0, 3], [1, 2], (999, 2)).ravel()
    edges = np.linspace(values.min(), values.max(), 257)
    middles = ((edges[:-1] + edges[1:]) / 2)[np.digitize(values, edges[1:-1])]
    variances = []
    for edge in edges[1:-1]:
        low, high = middles[values < edge], middles[values >= edge]
        variances.append(len(low) * len(high) * (low.mean() - high.mean()) ** 2)
    assert otsu(values) == pytest.approx(edges[1 + np.argmax(variances)])


def test_the_border_has_each_of_the_outermost_pixels_once() -> None:
    values = np.arange(30).reshape(5, 6)
    inner = values[1:-1, 1:-1]
    assert sorted(border(values)) == sorted(set(values.ravel()) - set(inner.ravel()))


def test_the_paper_is_the_surface_of_degree_two_whatever_is_on_it() -> None:
    down, across = np.mgrid[-1:1:300j, -1:1:240j]
    terms = (
        150 + 0 * down,
        9 * down,
        12 * across,
        15 * down**2,
        18 * down * across,
        21 * across**2,
    )
    paper = np.stack([sum(terms), 255 - sum(terms), sum(terms) / 2], axis=2)
    written = paper.copy()
    written[100:200, 120:126] = 0
    for picture in (paper, written):
        found, inside = find_sheet(picture)
        assert inside.all()
        assert np.abs(found - paper).max() < 1.5


def test_ink_lies_beyond_noise_by_eight_levels_and_as_much_again() -> None:
    picture = np.full((100, 100, 3), 128.0)
    picture[..., 1] += 2 - 4 * (np.indices((100, 100)).sum(axis=0) % 2)
    noise = 4.5 * 2
    picture[20:80, 45:50, 1] = 128 + 2 * noise + 7.5
    with pytest.raises(BlankError):
        find_ink(picture)
    picture[20:80, 45:50, 1] += 1
    assert find_ink(picture)[20:80, 45:50].min() > 0.999
    picture[20:80, 45:50, 1], picture[20:30, 45:50, 1] = 228, 178
    found = find_ink(picture)
    assert found[20:30, 45:50] == pytest.approx((50 - noise) / (100 - noise), abs=0.01)
    assert not found[:, :45].any()


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


MARK = np.s_[45:49, 100:104]


@pytest.mark.parametrize(
    ("rows", "columns", "mark", "level", "is_sheet"),
    [
        ((20, 59), (60, 134), MARK, 0, True),  # 35 % of each axis, within the edges
        ((20, 58), (60, 134), MARK, 0, False),
        ((20, 59), (60, 133), MARK, 0, False),
        ((0, 80), (0, 160), MARK, 0, True),
        ((20, 100), (50, 200), MARK, 0, True),
        ((20, 70), (60, 170), np.s_[45, 100:102], 0, True),  # 2 of 4,000 pixels
        ((20, 70), (60, 170), np.s_[45, 100:101], 0, False),
        ((20, 70), (60, 170), MARK, 200 - 24, True),  # 41.6 levels, in RGB
        ((20, 70), (60, 170), MARK, 200 - 23, False),
        ((20, 70), (60, 170), np.s_[45:48, 100:], 0, False),
        ((20, 70), (60, 170), (range(45, 80), range(100, 135)), 0, False),  # touches by corners
    ],
)
def test_a_sheet_is_large_with_a_mark_within_its_edges(
    rows: tuple[int, int], columns: tuple[int, int], mark: Any, level: float, is_sheet: bool
) -> None:
    light = np.zeros((100, 200), np.bool_)
    light[slice(*rows), slice(*columns)] = True
    picture = np.dstack([np.where(light, 200.0, 60.0)] * 3)
    picture[mark] = level
    _, inside = find_sheet(picture)
    bounds = ndimage.binary_erosion(light, iterations=5, border_value=1)
    assert np.array_equal(inside, bounds if is_sheet else np.full(light.shape, True))


def test_of_sheets_on_each_other_the_smallest_that_is_marked_counts() -> None:
    picture = np.full((200, 200, 3), 60.0)
    picture[20:180, 20:180] = 200
    picture[60:140, 60:140] = 120
    for blob in range(15, 185, 17):
        picture[:8, blob : blob + 8] = 250
    places = {"card": (65, 135), "sheet": (25, 175)}
    for name, level in (("sheet", 120), ("card", 0)):
        picture[98:102, 98:102] = level
        _, inside = find_sheet(picture)
        rows, columns = np.nonzero(inside)
        assert (rows.min(), rows.max() + 1) == (columns.min(), columns.max() + 1) == places[name]


DOWN, ACROSS = np.indices((SIZE, SIZE)) - SIZE / 2
FAR = np.maximum(np.abs(DOWN), np.abs(ACROSS))
TALL = np.abs(DOWN) < 80


@pytest.mark.parametrize(
    ("light", "is_sheet"),
    [
        ((np.abs(4 * DOWN + 3 * ACROSS) < 275) & (np.abs(4 * ACROSS - 3 * DOWN) < 375), True),
        (TALL & (2 * np.abs(ACROSS) < 80 + DOWN), False),  # a triangle
        (TALL & (np.abs(ACROSS) < 60 + DOWN / 4), False),  # a third narrower on top
        (TALL & (np.abs(ACROSS) < 70 + DOWN / 8), True),  # a quarter
        ((FAR - 67) ** 2 < 14**2, False),  # a frame
        ((FAR - 64) ** 2 < 18**2, True),
    ],
)
def test_a_sheet_is_about_a_rectangle_however_turned_and_mostly_bare(
    light: NDArray[np.bool_], is_sheet: bool
) -> None:
    picture = np.where(light, 200.0, 60.0)
    picture[148:152, 98:102] = 0
    _, inside = find_sheet(np.dstack([picture] * 3))
    assert inside.all() != is_sheet
