"""Views: an image as it is, turned, larger, smaller, sheared and shifted; answers are averaged."""

from collections.abc import Iterator
from math import isqrt

import torch
from torch import Tensor

from digits.exact import quantise
from digits.network.augmentation import move, sample
from digits.network.model import IMAGE_BITS
from digits.params import Predict

# Which of the draws of `augmentation.move` each param is, for its own views: two for a shift.
DRAWS = {"rotation": [[0]], "shear": [[1]], "scale": [[2, 3]], "shift": [[4], [5]]}


def view_places(params: Predict, side: int) -> Tensor:
    """Return where each view takes its pixels from, off the centre, shape (views, 2, pixels).

    The first is the image as it is. Each param above 0 adds two, one way and the other; `shift`
    adds two along each axis.
    """
    moved = [draws for name in DRAWS if getattr(params, name) for draws in DRAWS[name]]
    draws = torch.zeros(6, 1 + 2 * len(moved))
    for number, together in enumerate(moved):
        draws[together, 1 + 2 * number : 3 + 2 * number] = torch.tensor([1.0, -1.0])
    return move(draws, side, params)


def views(images: Tensor, params: Predict) -> Iterator[Tensor]:
    """Yield the views of images, shape (rows, pixels), each in the same shape.

    A pixel is interpolated between four, as exactly as a network takes it: with `IMAGE_BITS`. What
    comes in from outside is as the pixel at the edge.
    """
    yield images
    places = view_places(params, isqrt(images.shape[1]))[1:]
    if len(images) and len(places):
        yield from sample(quantise(images, IMAGE_BITS, dim=1).values[None], places)
