"""Augmentation: images turned, sheared, scaled, shifted and bent at random, anew in each epoch.

The elastic distortion is that of Simard, Steinkraus and Platt (2003, "Best practices for
convolutional neural networks applied to visual document analysis", section 2): each pixel is
displaced by a random field, smoothed with a Gaussian.
"""

from functools import lru_cache
from math import ceil, isqrt, pi, radians, sqrt

import torch
from torch import Tensor
from torch.nn import functional

from digits.params import Augment

REACH = 3  # deviations: as far as a Gaussian is felt


def augment(images: Tensor, params: Augment, generator: torch.Generator) -> Tensor:
    """Return images of the same shape, (rows, pixels), each distorted in its own way.

    Each pixel is taken from another place, between pixels by linear interpolation, and from the
    nearest one where that is outside. Draws are made on the CPU, wherever the images lie.
    """
    rows, side = len(images), isqrt(images.shape[1])
    sources = _affine(_draw((6, rows), images.device, generator), side, params)
    if params.elastic:
        gaussian = _gaussian(side, params.smoothness, images.device)
        noise = _draw((2 * rows, len(gaussian), len(gaussian)), images.device, generator)
        sources += params.elastic * _smooth(noise, gaussian).view_as(sources)
    # From pixels off the centre to halves of the image.
    grid = (sources * (2 / max(side - 1, 1))).view(rows, 2, side, side).permute(0, 2, 3, 1)
    pictures = images.view(rows, 1, side, side)
    distorted = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=True)
    return distorted.view_as(images)


def _draw(shape: tuple[int, ...], device: torch.device, generator: torch.Generator) -> Tensor:
    """Return numbers from -1 to 1, uniformly distributed, on a device."""
    return torch.rand(shape, generator=generator).to(device) * 2 - 1


def _affine(draws: Tensor, side: int, params: Augment) -> Tensor:
    """Return where each pixel comes from, in pixels off the centre, shape (rows, 2, pixels).

    The places are scaled along both axes, sheared, turned about the centre and then shifted; so
    with a scale of 0.1 an image is drawn 0.9 to 1.1 times as small.

    Args:
        draws: how far, from -1 to 1, shape (6, rows).
        side: of the images, in pixels.
        params: the most that each may be.
    """
    angle, shear = draws[0] * radians(params.rotation), draws[1] * params.shear
    across, down = 1 + draws[2:4] * params.scale
    # Rounded to float32 from more digits than processors agree on.
    cos, sin = angle.double().cos().float(), angle.double().sin().float()
    columns = [cos * across, (cos * shear - sin) * down, draws[4] * params.shift]
    columns += [sin * across, (sin * shear + cos) * down, draws[5] * params.shift]
    maps = torch.stack(columns, dim=1).view(-1, 3)
    return (maps @ _positions(side, draws.device)).view(-1, 2, side * side)


def _smooth(noise: Tensor, gaussian: Tensor) -> Tensor:
    """Return noise, shape (fields, points, points), as fields, shape (fields, side, side), turned.

    Args:
        noise: at the points of a grid.
        gaussian: what each point gives to each pixel of a row, shape (points, side).
    """
    fields, points = noise.shape[:2]
    along_one = (noise.view(-1, points) @ gaussian).view(fields, points, -1).transpose(1, 2)
    return (along_one.reshape(-1, points) @ gaussian).view(fields, -1, gaussian.shape[1])


@lru_cache(maxsize=1)
def _positions(side: int, device: torch.device) -> Tensor:
    """Return x and y of each pixel, in pixels off the centre, and 1, shape (3, pixels)."""
    places = torch.arange(side, device=device) - (side - 1) / 2
    across, down = places.repeat(side), places.repeat_interleave(side)
    return torch.stack([across, down, torch.ones_like(across)])


@lru_cache(maxsize=1)
def _gaussian(side: int, deviation: float, device: torch.device) -> Tensor:
    """Return what noise at each of some points gives to each pixel of a row, shape (points, side).

    With a point for each pixel that is a Gaussian. Wider ones hide what lies between points that
    are as far apart as their deviation, so that fewer, each of more weight, give the same fields.
    """
    apart = max(deviation, 1.0)
    beyond = ceil((side - 1) / 2 / apart + REACH * deviation / apart)
    points = torch.arange(-beyond, beyond + 1, dtype=torch.float64) * apart
    pixels = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    distances = (points[:, None] - pixels) / deviation
    weights = (-(distances**2) / 2).exp() * (sqrt(apart) / (deviation * sqrt(2 * pi)))
    return weights.float().to(device)
