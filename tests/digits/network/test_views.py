from functools import reduce
from itertools import product
from math import cos, floor, radians, sin
from operator import add

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.network.augmentation import sample
from digits.network.inference import infer
from digits.network.views import view_maps, view_places, views
from digits.params import Predict
from tests.conftest import draw_network

NONE = Predict(rotation=0, scale=0, shear=0, shift=0)
ALL = Predict(rotation=6, scale=0.07, shear=0.08, shift=1.5)
SIN, COS = sin(radians(6)), cos(radians(6))
# Where each view takes the pixel (x, y) from: (a x + b y + c, d x + e y + f).
MAPS = [
    ((1, 0, 0), (0, 1, 0)),
    *(((COS, -sine, 0), (sine, COS, 0)) for sine in (SIN, -SIN)),
    *(((1, sheared, 0), (0, 1, 0)) for sheared in (0.08, -0.08)),
    *(((scaled, 0, 0), (0, scaled, 0)) for scaled in (1.07, 0.93)),
    *(((1, 0, right), (0, 1, 0)) for right in (1.5, -1.5)),
    *(((1, 0, 0), (0, 1, down)) for down in (1.5, -1.5)),
]


@pytest.mark.parametrize("side", [5, 28])
def test_each_param_moves_the_places_of_pixels_one_way_and_the_other(side: int) -> None:
    off = np.arange(side) - (side - 1) / 2
    points = np.stack([np.tile(off, side), np.repeat(off, side), np.ones(side * side)])
    assert np.allclose(view_maps(ALL), MAPS, atol=0.001)
    assert np.allclose(view_places(ALL, side), np.array(MAPS) @ points, atol=0.01)
    assert len(view_places(NONE, side)) == 1
    assert len(view_places(NONE.model_copy(update={"shear": 0.1}), side)) == 3


def interpolate(values: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    """Return images, shape (rows, side, side), at a place off their centre, by the formula."""
    side, found = values.shape[1], np.zeros(len(values))
    # Places lie on a grid of 1/256 pixel; beyond the middle of the edge's pixels are as these.
    across, down = (
        round(max(min(place, side / 2), -side / 2) * 256) / 256 + (side - 1) / 2 for place in (x, y)
    )
    for right, lower in product((0, 1), repeat=2):
        row, column = floor(down) + lower, floor(across) + right
        share = (1 - abs(across - column)) * (1 - abs(down - row))
        found += share * values[:, min(max(row, 0), side - 1), min(max(column, 0), side - 1)]
    return found


@pytest.mark.parametrize("side", [5, 28])
def test_views_are_interpolated_without_an_error_whatever_images_are_beside_them(side: int) -> None:
    pixels = np.random.default_rng(0).integers(-64, 192, (4, side * side))
    images = (pixels / 64).astype(np.float32)
    values = images.reshape(-1, side, side).astype(np.float64)
    found = list(views(images, ALL))
    assert np.array_equal(found[0], images)
    for view, places in zip(found[1:], view_places(ALL, side)[1:], strict=True):
        expected = [interpolate(values, x, y) for x, y in places.T.tolist()]
        assert np.array_equal(view.astype(np.float64).T, expected)
        moved = torch.from_numpy(places).expand(4, -1, -1).clone()
        assert np.array_equal(view, sample(torch.from_numpy(images), moved))  # as in training
    alone = views(images[2:3], ALL)
    assert all(np.array_equal(one[0], many[2]) for one, many in zip(alone, found, strict=True))


def test_logits_are_means_over_views() -> None:
    images = np.random.default_rng(1).normal(size=(10, 16)).astype(np.float32)
    networks = [draw_network([16, 5, 3], seed) for seed in range(2)]
    answers = [infer(networks, moved) for moved in views(images, ALL)]
    assert len(answers) == 11
    assert np.array_equal(infer(networks, images, ALL), reduce(add, answers) / np.float32(11))
    assert np.array_equal(infer(networks, images, NONE), infer(networks, images))
