"""Novelty: how far an image is from those that a network was trained on.

Of each class there are the mean of each pixel and the inverse of its variance; an image is as far
away as from the nearest class, in such variances (Lee et al. 2018, "A simple unified framework for
detecting out-of-distribution samples and adversarial attacks", section 2.1; here of pixels, each by
itself). All is whole numbers, and their sums are exact in any order.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # shape (rows, pixels)
LEAST = 17**2  # what is added to a variance, for pixels that are nearly always paper, or ink
SCALE = 2**24  # of the inverse of a variance, as a whole number
USUAL = 0.99  # share of images like those that it was trained on that are told to be such


@dataclass(frozen=True)
class Novelty:
    """What the images of each class look like, and how far away an image may be.

    `mean` is uint8, and `precision`, the inverse of the variance, uint16, both (classes, pixels).
    """

    mean: NDArray[np.uint8]
    precision: NDArray[np.uint16]
    limit: int = 0

    @classmethod
    def fit(
        cls, blocks: Iterable[Pixels], labels: NDArray[np.int64], others: Iterable[Pixels]
    ) -> Self:
        """Return that of images, blocks of (rows, pixels), whose labels, (rows,), are 0 and on.

        The limit is the distance that the usual share of some others, in blocks, keep to.
        """
        counts, start = np.bincount(labels)[:, None].astype(np.float64), 0
        sums, squares = np.zeros(()), np.zeros(())
        for images in blocks:
            of = labels[start : start + len(images)] == np.arange(len(counts))[:, None]
            members, wide = of.astype(np.float64), images.astype(np.float64)
            sums, squares = sums + members @ wide, squares + members @ (wide * wide)
            start += len(images)
        variance = (counts * squares - sums * sums) / (counts * counts)
        precision = np.rint(SCALE / (variance + LEAST)).astype(np.uint16)
        found = cls(np.rint(sums / counts).astype(np.uint8), precision)
        distances = np.sort(np.concatenate(list(map(found.measure, others))))
        return replace(found, limit=int(distances[ceil(USUAL * len(distances)) - 1]))

    def is_familiar(self, images: Pixels) -> NDArray[np.bool_]:
        """Return whether images, (rows, pixels), are no further away, nor blank, (rows,)."""
        return (self.measure(images) <= self.limit) & images.any(axis=1)

    def measure(self, images: Pixels) -> NDArray[np.int64]:
        """Return the distance of images, (rows, pixels), from the nearest class, (rows,)."""
        values, mean = images.astype(np.float64), self.mean.astype(np.float64)
        precision: NDArray[Any] = self.precision.astype(np.float64)
        far = values * values @ precision.T - 2 * values @ (precision * mean).T
        distances: NDArray[np.int64] = (far + (precision * mean * mean).sum(axis=1)).min(axis=1)
        return distances.astype(np.int64)
