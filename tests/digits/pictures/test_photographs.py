"""Photographs of digits: how they are framed, and what the network of `make repro` makes of them.

The latter is long: `make test LONG=1`.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from digits.data.submission import count_ids, read_submission
from digits.pictures.framing import find_digits, prepare
from digits.recogniser import RECOGNISER, Recogniser
from tests.conftest import read_images
from tests.photographs import KINDS, SIDE, several
from tests.sandbox import ROOT
from tests.strokes import draw as draw_digit

TEST, SOLUTION = ROOT / "data/mnist/test.csv", ROOT / "data/mnist/solution.csv"
NAMES = [str(digit) for digit in range(10)]
CLASSES = len(NAMES)
FARTHER = {  # levels of 255, by which the nearest view may differ on average; else 5
    "very thick": 14,
    "thin": 7,
    "on a darker table": 14,  # where it is turned by up to 10 degrees
    "on a lighter table": 14,
    "tilted by 25 degrees": 22,
    "28 x 28, elsewhere": 15,
}

Known = Callable[[Generator], NDArray[np.float64]]

needs_network = pytest.mark.skipif(
    not all(path.exists() for path in (ROOT / RECOGNISER, TEST, SOLUTION)),
    reason="no network or no images: `make repro` makes them",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_digit_in_a_picture_of_any_kind_is_found_and_framed_as_it_was(kind: str) -> None:
    [drawn] = prepare(draw_digit(4), SIDE)
    framed = drawn.views[0] / 255
    content = KINDS[kind](framed.reshape(SIDE, SIDE), np.random.default_rng(0))
    [found] = find_digits(content, SIDE)
    differences = np.abs(found.views - framed * 255.0).mean(axis=1)
    assert differences.min() < FARTHER.get(kind, 5)


@pytest.fixture(scope="module")
def network() -> Recogniser:
    return Recogniser.load(ROOT / RECOGNISER)


@pytest.fixture(scope="module")
def known(network: Recogniser) -> Known:
    """Return what draws ten test images, one of each class, that are answered right as they are."""
    _, pixels = read_images(TEST)
    labels = read_submission(SOLUTION, count_ids(len(pixels)), NAMES)
    right = network.answer(pixels).argmax(axis=1) == labels

    def choose(draw: Generator) -> NDArray[np.float64]:
        rows = [draw.choice(np.flatnonzero(right & (labels == label))) for label in range(CLASSES)]
        return pixels[rows].reshape(-1, SIDE, SIDE) / 255

    return choose


def answer(network: Recogniser, content: bytes, *, sheet: bool = False) -> list[int]:
    """Return the likeliest class of each digit in a picture, in reading order."""
    return [int(found.label) for found in network.read(content, sheet=sheet)]


@pytest.mark.long
@needs_network
@pytest.mark.parametrize("seed", range(4))
def test_of_pictures_of_every_kind_nearly_all_are_answered_right(
    network: Recogniser, known: Known, seed: int
) -> None:
    right = {}
    for number, (kind, take) in enumerate(KINDS.items()):
        digits = known(np.random.default_rng([seed, number]))
        draws = (np.random.default_rng([seed, number, label]) for label in range(CLASSES))
        pictures = map(take, digits, draws)
        found = [answer(network, picture) for picture in pictures]
        right[kind] = sum(one == [label] for label, one in enumerate(found))
    print(right)
    assert min(right.values()) >= 7, right
    assert sum(right.values()) >= 0.95 * CLASSES * len(KINDS), right


@pytest.mark.long
@needs_network
@pytest.mark.parametrize("seed", range(4))
def test_ten_digits_on_a_sheet_are_answered_in_reading_order(
    network: Recogniser, known: Known, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    order = draw.permutation(CLASSES)
    picture = several(list(known(draw)[order]), draw, columns=int(draw.integers(3, 6)))
    found = answer(network, picture, sheet=True)
    assert len(found) == CLASSES
    assert (np.array(found) == order).sum() >= 9
