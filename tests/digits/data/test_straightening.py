from math import floor

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.data.straightening import straighten


def straighten_slowly(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """By the formula, pixel for pixel, of an image of shape (side, side)."""
    side, pixels = len(image), image.astype(int).tolist()
    cells = [(pixels[y][x], x, y) for y in range(side) for x in range(side)]
    ink = sum(p for p, _, _ in cells) or 1
    x_mean, y_mean = (sum(cell[0] * cell[axis] for cell in cells) / ink for axis in (1, 2))
    variance = sum(p * y * y for p, _, y in cells) / ink - y_mean * y_mean
    covariance = sum(p * x * y for p, x, y in cells) / ink - x_mean * y_mean
    slant = min(max(covariance / variance, -1), 1) if variance > 0 else 0.0
    found = np.zeros((side, side), np.int64)
    for y in range(side):
        whole, part = divmod(floor(slant * (y - y_mean) * 256 + 0.5), 256)
        for x in range(side):
            left, right = (pixels[y][min(max(x + whole + k, 0), side - 1)] for k in (0, 1))
            found[y, x] = (left * (256 - part) + right * part + 128) // 256
    return found


@pytest.mark.parametrize("side", [1, 2, 5, 28])
def test_images_are_straightened_as_the_plain_formula_says(side: int) -> None:
    generator = np.random.default_rng(side)
    noise = generator.integers(0, 256, (30, side, side), dtype=np.uint8)
    sparse = noise * (generator.random(noise.shape) < 0.1)
    plain = np.full((2, side, side), 255)
    plain[1] = np.arange(side * side).reshape(side, side) == side * side - 1  # hardly any ink
    images = np.concatenate([noise, sparse, plain]).astype(np.uint8)
    found = straighten(images.reshape(-1, side * side))
    assert found.dtype == np.uint8
    expected = np.stack([straighten_slowly(image) for image in images])
    assert np.array_equal(found.reshape(images.shape), expected)
    assert np.array_equal(straighten(images.reshape(-1, side * side)[7:8])[0], found[7])


def test_a_leaning_stroke_is_upright_afterwards_and_an_upright_one_stays() -> None:
    leaning, upright = np.zeros((2, 28, 28), np.uint8)
    for row in range(6, 22):
        leaning[row, 20 - row // 2 : 23 - row // 2] = 255
        upright[row, 12:15] = 255
    found = straighten(np.stack([leaning, upright]).reshape(2, -1)).reshape(2, 28, 28)
    assert np.array_equal(found[1], upright)
    spread = [np.ptp(np.argwhere(image.max(axis=0))) for image in (leaning, found[0])]
    assert spread[0] >= 9
    assert spread[1] <= 4
