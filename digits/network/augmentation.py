"""Augmentation: images turned, sheared, scaled, shifted and bent at random, anew in each epoch.

The elastic distortion is that of Simard, Steinkraus and Platt (2003, "Best practices for
convolutional neural networks applied to visual document analysis", section 2): each pixel is
displaced by a random field, smoothed with a Gaussian. Images and places lie on grids, so coarse
that nothing rounds between them and the distorted image, whatever takes it.
"""

from functools import cache
from math import ceil, isqrt, pi, sqrt

import torch
from torch import Tensor
from torch.nn import functional

from digits import exact
from digits.exact import Quantised, quantise
from digits.network.affine import PLACES, move
from digits.network.draws import Draws
from digits.network.int8 import product
from digits.network.model import IMAGE_BITS
from digits.network.workers import Share
from digits.params import Augment

REACH = 3  # deviations: as far as a Gaussian is felt
NOISE_BITS, GAUSSIAN_BITS = 8, 11


def augment(images: Tensor, power: Tensor, params: Augment, draws: Draws, share: Share) -> Tensor:
    """Return images, (own rows, pixels), each with pixels from other places, interpolated.

    They are rounded by what `exact.power_within` returns of all images, or more of them.
    """
    rows, side = share.rows, isqrt(images.shape[1])
    places = move(draws.uniform(6, rows) * 2 - 1, side, params, share.lines)
    if params.elastic:
        gaussian = _gaussian(side, params.smoothness, draws.device)
        points = len(gaussian.values)
        noise = draws.uniform(2 * rows * points, points) * 2 - 1
        places.add_(_smooth(noise, gaussian, share).view_as(places) * params.elastic)
    return sample(Quantised.within(images, power, IMAGE_BITS).values, places)


def _smooth(noise: Tensor, gaussian: Quantised[Tensor], share: Share) -> Tensor:
    """Return noise, (fields * points, points), as turned fields of own rows, each (side, side)."""
    points, side = gaussian.values.shape
    along_one = product(quantise(noise, NOISE_BITS), gaussian)
    turned = along_one.view(-1, points, side).transpose(1, 2).reshape(-1, points)
    return product(share.lines(quantise(turned, NOISE_BITS)), gaussian)


def sample(images: Tensor, places: Tensor) -> Tensor:
    """Return images, (rows, pixels), each at its places, (rows, 2, pixels), off their centre.

    What grid_sample makes of places is exact where the side is a power of two: so it is made one.
    """
    rows, side = len(images), isqrt(images.shape[1])
    wide = 1 << (side - 1).bit_length()
    before, after = (wide - side) // 2, (wide - side + 1) // 2
    pictures = images.view(rows, 1, side, side)
    pictures = functional.pad(pictures, [before, after] * 2, "replicate")
    places = places.clamp_(-side / 2, side / 2).mul_(PLACES).round_().mul_(2 / (wide * PLACES))
    grid = places.add_((before - after) / wide).view(rows, 2, side, side).permute(0, 2, 3, 1)
    found = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    return found.view_as(images)


@cache
def _gaussian(side: int, deviation: float, device: torch.device) -> Quantised[Tensor]:
    """Return what noise at each of some points gives to each pixel of a row, shape (points, side).

    With a point for each pixel that is a Gaussian. Wider ones hide what lies between points that
    are as far apart as their deviation, so that fewer, each of more weight, give the same fields.
    """
    apart = max(deviation, 1.0)
    beyond = ceil((side - 1) / 2 / apart + REACH * deviation / apart)
    points = torch.arange(-beyond, beyond + 1, dtype=torch.float64) * apart
    pixels = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    distances = (points[:, None] - pixels) / deviation
    weights = exact.exp(-(distances * distances) / 2) * (sqrt(apart) / (deviation * sqrt(2 * pi)))
    return quantise(weights.float().to(device), GAUSSIAN_BITS)
