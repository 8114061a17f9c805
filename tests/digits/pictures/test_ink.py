from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.pictures.ink import BlankError, find_ink
from digits.pictures.sheets import otsu
from tests.strokes import draw

SIZE = 90


def drawn(**options: Any) -> NDArray[np.float64]:
    """Return a picture of a digit, shape (SIZE, SIZE, 3)."""
    return np.asarray(draw(4, size=SIZE, **options), np.float64)


def blank(size: int = SIZE) -> NDArray[np.float64]:
    return np.full((size, size, 3), 200.0)


def light(size: int = SIZE) -> NDArray[np.float64]:
    """Return how brightly each pixel is lit, from one side and from above."""
    down, across = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    lit: NDArray[np.float64] = (1 - 0.5 * across - 0.2 * down**2)[..., np.newaxis]
    return lit


def noise(deviation: float) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(0, deviation, (SIZE, SIZE, 3))


@pytest.mark.parametrize(
    ("paper", "ink"),
    [
        ((0, 0, 0), (255, 255, 255)),
        ((250, 240, 200), (30, 40, 140)),
        ((0, 128, 0), (210, 26, 20)),  # as light as each other
        ((120, 120, 120), (150, 150, 150)),
    ],
)
def test_ink_of_any_colour_is_told_from_paper_of_any_other(
    paper: tuple[int, ...], ink: tuple[int, ...]
) -> None:
    found = find_ink(drawn(paper=paper, ink=ink))
    assert np.abs(found - (1 - drawn()[..., 0] / 255)).max() < 0.05


def test_greys_between_paper_and_ink_stay() -> None:
    picture = drawn()
    picture[: SIZE // 3] = 255 - (255 - picture[: SIZE // 3]) * 0.6  # less pressure
    found = find_ink(picture)
    assert found[: SIZE // 3].max() == pytest.approx(0.6, abs=0.02)
    assert found[SIZE // 3 :].max() == 1


def test_uneven_light_and_noise_leave_the_ink() -> None:
    picture = drawn(paper=(235, 230, 220), ink=(40, 40, 60)) * light() + noise(5)
    found = find_ink(picture.clip(0, 255))
    assert np.abs(found - (1 - drawn()[..., 0] / 255)).mean() < 0.03
    assert (found[drawn()[..., 0] == 255] == 0).mean() > 0.98


BLANK: dict[str, Callable[[], NDArray[np.float64]]] = {
    "even": blank,
    "noisy": lambda: blank() + noise(6),
    "of one pixel": lambda: blank(1),
    "unevenly lit": lambda: blank() * light() + noise(2),
    "faint": lambda: 200 + drawn() / 60,
}


@pytest.mark.parametrize("kind", BLANK)
def test_a_blank_picture_is_refused(kind: str) -> None:
    with pytest.raises(BlankError, match="blank"):
        find_ink(BLANK[kind]())


def test_ink_is_found_whose_contrast_is_weak_but_clear() -> None:
    assert find_ink(200 + drawn() / 20).max() == 1


@pytest.mark.parametrize("pattern", ["two", "chequered", "striped"])
def test_a_pattern_without_paper_makes_no_noise(pattern: str) -> None:
    down, across = np.mgrid[:20, :20]
    values = {"two": down[:2, :1], "chequered": (down + across) % 2, "striped": down % 2}[pattern]
    picture = np.repeat(255.0 * values[..., np.newaxis], 3, axis=2)
    try:
        found = find_ink(picture)
    except BlankError:
        return
    assert ((found >= 0) & (found <= 1)).all()


def test_ink_that_is_tied_to_the_border_is_left_out() -> None:
    picture = drawn()
    expected = find_ink(picture)
    picture[:4], picture[:, -3:] = 0, 30
    assert np.abs(find_ink(picture) - expected).max() < 0.05


def test_a_digit_that_ruled_lines_tie_to_the_border_stays() -> None:
    picture = np.asarray(draw(2, size=400, pen=20, ink=(90, 90, 90)), np.float64)
    strokes = picture[..., 0] == 90
    for top in range(10, 400, 30):
        margin = 0 if strokes[top].any() else 10  # other lines are left, as if they were ink
        line = picture[top : top + 2, margin : 400 - margin]
        np.minimum(line, 130, out=line)
    assert (find_ink(picture)[strokes] > 0.9).all()


def test_a_digit_that_reaches_the_border_is_no_frame() -> None:
    picture = drawn()
    rows, columns = np.nonzero(picture[..., 0] < 128)
    tight = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert np.abs(find_ink(tight) - (1 - tight[..., 0] / 255)).max() < 0.05


def test_otsus_threshold_lies_between_two_kinds_of_values() -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(20, 5, 900), generator.normal(90, 8, 100)])
    assert 40 < otsu(values) < 65


def test_otsus_threshold_leaves_the_most_variance_between_the_classes() -> None:
    values = np.random.default_rng(0).integers(0, 256, 400).astype(np.float64)

    def variance(threshold: float) -> float:
        low, high = values[values <= threshold], values[values > threshold]
        return float(len(low) * len(high) * (high.mean() - low.mean()) ** 2)

    best = max(variance(threshold) for threshold in np.unique(values)[:-1])
    assert variance(otsu(values)) == pytest.approx(best, rel=1e-3)
