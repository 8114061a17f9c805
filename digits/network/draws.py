"""Draws: random numbers from one seeded generator, on the CPU, wherever they are used."""

from functools import cache
from math import prod

import torch
from torch import Tensor

from digits import exact

_LATTICE = 12  # bits that choose a radius, and bits that choose an angle


class Draws:
    """Draws from a generator, moved to the device where they are used."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self._generator, self.device = generator, device

    def uniform(self, *shape: int) -> Tensor:
        """Return float32 numbers from 0 to below 1, multiples of 2 ** -24, in a shape."""
        drawn = torch.rand(shape, generator=self._generator)
        if self.device.type == "cpu":
            return drawn
        return drawn.pin_memory().to(self.device, non_blocking=True)

    def normal(self, *shape: int) -> Tensor:
        """Return float32 numbers of the standard normal distribution, in a shape, at most 4.25.

        Box and Muller (1958, "A note on the generation of random normal deviates"): radius and
        angle are each one of 4,096, and a pair of them gives two numbers.
        """
        radii, sines, cosines = _polar(self.device)
        pairs = (self.uniform(-(-prod(shape) // 2)) * 2.0**24).to(torch.int64)
        radius, angle = radii[pairs >> _LATTICE], pairs & (2**_LATTICE - 1)
        numbers = torch.cat([radius * sines[angle], radius * cosines[angle]])
        return numbers[: prod(shape)].view(shape)


@cache
def _polar(device: torch.device) -> list[Tensor]:
    """Return radii, and sines and cosines of angles, float32, each in the midst of its share."""
    midst = (torch.arange(2**_LATTICE, dtype=torch.float64) + 0.5) / 2**_LATTICE
    radii = exact.root((-2 * exact.log(midst)).to(torch.float32))
    return [one.to(torch.float32).to(device) for one in (radii, *exact.sine_and_cosine(midst))]
