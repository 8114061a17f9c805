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
from digits.exact import Quantised, product, quantise, rounded
from digits.network.draws import Draws
from digits.network.model import IMAGE_BITS
from digits.params import Affine, Augment

REACH = 3  # deviations: as far as a Gaussian is felt
PLACES = 256  # between two pixels, along each axis: with an image's 8 bits, sampling sums 24
MAP_BITS, POSITION_BITS = 13, 9
NOISE_BITS, GAUSSIAN_BITS = 8, 11


def augment(images: Tensor, params: Augment, draws: Draws) -> Tensor:
    """Return images, (rows, pixels), each with its pixels from other places, interpolated."""
    rows, side = len(images), isqrt(images.shape[1])
    places = move(draws.uniform(6, rows) * 2 - 1, side, params)
    if params.elastic:
        gaussian = _gaussian(side, params.smoothness, draws.device)
        points = len(gaussian.values)
        noise = draws.uniform(2 * rows * points, points) * 2 - 1
        places.add_(_smooth(noise, gaussian).view_as(places) * params.elastic)
    return sample(rounded(images, IMAGE_BITS)[:, None], places).view_as(images)


def move(draws: Tensor, side: int, params: Affine) -> Tensor:
    """Return where each pixel comes from, in pixels off the centre, shape (rows, 2, pixels).

    Places are scaled along both axes, sheared, turned about the centre and then shifted. How far
    each, draws say, from -1 to 1, shape (6, rows): turn, shear, and two of scale and of shift.
    """
    draws = draws.to(torch.float64)
    sin, cos = exact.sine_and_cosine(draws[0] * (params.rotation / 360))
    shear, (across, down) = draws[1] * params.shear, 1 + draws[2:4] * params.scale
    columns = [cos * across, (cos * shear - sin) * down, draws[4] * params.shift]
    columns += [sin * across, (sin * shear + cos) * down, draws[5] * params.shift]
    maps = torch.stack(columns, dim=1).view(-1, 3).to(torch.float32)
    positions = _positions(side, draws.device)
    return product(quantise(maps, MAP_BITS), positions).view(-1, 2, side * side)


def _smooth(noise: Tensor, gaussian: Quantised) -> Tensor:
    """Return noise, (fields * points, points), as turned fields, (fields * side, side)."""
    points, side = gaussian.values.shape
    along_one = product(quantise(noise, NOISE_BITS), gaussian)
    turned = along_one.view(-1, points, side).transpose(1, 2).reshape(-1, points)
    return product(quantise(turned, NOISE_BITS), gaussian)


def sample(images: Tensor, places: Tensor) -> Tensor:
    """Return images, (groups or 1, rows, pixels), at places, (groups, 2, pixels), off their centre.

    What grid_sample makes of places is exact where the side is a power of two: so it is made one.
    """
    groups, side = len(places), isqrt(images.shape[2])
    wide = 1 << (side - 1).bit_length()
    before, after = (wide - side) // 2, (wide - side + 1) // 2
    pictures = images.view(*images.shape[:2], side, side)
    pictures = functional.pad(pictures, [before, after] * 2, "replicate")
    places = places.clamp_(-side / 2, side / 2).mul_(PLACES).round_().mul_(2 / (wide * PLACES))
    grid = places.add_((before - after) / wide).view(groups, 2, side, side).permute(0, 2, 3, 1)
    pictures = pictures.expand(groups, -1, -1, -1)
    found = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    return found.flatten(2)


@cache
def _positions(side: int, device: torch.device) -> Quantised:
    """Return x and y of each pixel, in pixels off the centre, and 1, shape (3, pixels)."""
    places = torch.arange(side, device=device) - (side - 1) / 2
    across, down = places.repeat(side), places.repeat_interleave(side)
    return quantise(torch.stack([across, down, torch.ones_like(across)]), POSITION_BITS)


@cache
def _gaussian(side: int, deviation: float, device: torch.device) -> Quantised:
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
