"""Batch normalisation: of what a layer gives for a batch, and the way back.

Ioffe and Szegedy (2015, "Batch normalization: accelerating deep network training by reducing
internal covariate shift"), section 3.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from digits import exact

BITS = 12  # of what sums and sums of squares are taken of: products of two are exact in float32
EPSILON = 1e-5  # is added to each variance
KEPT = 0.9  # of the running statistics, at each step


class Normalised(NamedTuple):
    """Values of a batch, centred, and their deviation."""

    centred: Tensor  # less their mean, shape (rows, width), float32, rounded to `BITS`
    deviation: Tensor  # standard deviation of each column, shape (width,), float32

    @classmethod
    def of(cls, values: Tensor, means: Tensor, variances: Tensor) -> Self:
        """Normalise values, and move the running means and variances towards theirs, in place.

        Values, shape (rows, width), are a product of matrices with one unit each, whose sums
        float64 holds; they are overwritten. Running variances are those of the population.
        """
        rows = len(values)
        mean = _mean(values.sum(dim=0, dtype=torch.float64), rows)
        centred = exact.rounded(values.sub_(mean), BITS)
        variance = _mean((centred * centred).sum(dim=0, dtype=torch.float64), rows)
        means.mul_(KEPT).add_(mean * (1 - KEPT))
        variances.mul_(KEPT).add_(variance * ((1 - KEPT) * rows / (rows - 1)))
        return cls(centred, exact.root(variance + EPSILON))

    def scaled(self, gains: Tensor) -> Tensor:
        """Return the normalised values times the gain of their column, shape (rows, width)."""
        return self.centred * (gains / self.deviation)

    def differentiate(self, errors: Tensor, gains: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients by gains, by biases and by the values before.

        `errors` is the gradient by what `scaled` returned with those gains, shape (rows, width).
        """
        errors, rows = exact.rounded(errors, BITS), len(errors)
        deviation = self.deviation.to(torch.float64)
        by_biases = errors.sum(dim=0, dtype=torch.float64)
        by_gains = (errors * self.centred).sum(dim=0, dtype=torch.float64) / deviation
        along = self.centred * _mean(by_gains / deviation, rows)
        errors.sub_(_mean(by_biases, rows)).sub_(along).mul_(gains / self.deviation)
        return by_gains.to(torch.float32), by_biases.to(torch.float32), errors


def _mean(sums: Tensor, rows: int) -> Tensor:
    return exact.over(sums, rows).to(torch.float32)
