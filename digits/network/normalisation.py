"""Batch normalisation: of what a layer gives for a batch, and the way back.

Ioffe and Szegedy (2015, "Batch normalization: accelerating deep network training by reducing
internal covariate shift"), section 3.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from digits import exact
from digits.exact import Quantised, power_within
from digits.network.workers import Share

BITS = 12  # of what sums and sums of squares are taken of: products of two are exact in float32
EPSILON = 1e-5  # is added to each variance
KEPT = 0.9  # of the running statistics, at each step


class Normalised(NamedTuple):
    """A worker's values of a batch, centred, and the deviation of all."""

    centred: Tensor  # less their mean, shape (rows, width), float32, rounded to `BITS`
    extremes: Tensor  # the highest and the lowest of each column, of all rows, shape (2, width)
    deviation: Tensor  # standard deviation of each column, shape (width,), float32
    share: Share

    @classmethod
    def of(cls, values: Tensor, means: Tensor, variances: Tensor, share: Share) -> Self:
        """Normalise values, and move the running means and variances towards theirs, in place.

        Values, shape (rows, width), are a product of matrices with one unit each, whose sums
        float64 holds; they are overwritten. Running variances are those of the population.
        """
        rows, workers = share.rows, share.workers
        sums, highest, lowest = workers.gather(_survey(values)).unbind(1)
        mean = _mean(sums.sum(0), rows)
        extremes = torch.stack([highest.amax(0), lowest.amin(0)]).to(torch.float32) - mean
        power = power_within(extremes)
        centred, extremes = (
            Quantised.within(one, power, BITS).values for one in (values.sub_(mean), extremes)
        )
        squares = (centred * centred).sum(dim=0, dtype=torch.float64)
        variance = _mean(workers.summed(squares), rows)
        means.mul_(KEPT).add_(mean * (1 - KEPT))
        variances.mul_(KEPT).add_(variance * ((1 - KEPT) * rows / (rows - 1)))
        return cls(centred, extremes, exact.root(variance + EPSILON), share)

    def scaled(self, gains: Tensor) -> Tensor:
        """Return the normalised values times the gain of their column, shape (rows, width)."""
        return self.centred * (gains / self.deviation)

    def power_passed(self, gains: Tensor, bias: Tensor) -> Tensor:
        """Return `power_within` of what ReLU passes of all rows, scaled and with a bias added."""
        return power_within((self.extremes * (gains / self.deviation) + bias).relu_())

    def differentiate(self, errors: Tensor, gains: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients by gains, by biases and by the values before.

        `errors` is the gradient by what `scaled` returned with those gains, shape (rows, width).
        """
        rows, workers = self.share.rows, self.share.workers
        errors = self.share.quantise(errors, BITS).values
        products = errors, errors * self.centred
        sums = torch.stack([one.sum(dim=0, dtype=torch.float64) for one in products])
        deviation = self.deviation.to(torch.float64)
        by_biases, by_gains = workers.summed(sums).unbind()
        by_gains = by_gains / deviation
        along = self.centred * _mean(by_gains / deviation, rows)
        errors.sub_(_mean(by_biases, rows)).sub_(along).mul_(gains / self.deviation)
        return by_gains.to(torch.float32), by_biases.to(torch.float32), errors


def _survey(values: Tensor) -> Tensor:
    """Return each column's sum, highest and lowest value, float64, shape (3, width)."""
    sums = values.sum(dim=0, dtype=torch.float64)
    if not len(values):
        return torch.stack([sums, sums - torch.inf, sums + torch.inf])
    return torch.stack([sums, values.amax(0), values.amin(0)])


def _mean(sums: Tensor, rows: int) -> Tensor:
    return exact.over(sums, rows).to(torch.float32)
