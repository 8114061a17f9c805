"""Backpropagation: from a batch to its logits, and the gradient of the loss by every parameter.

The method is that of Rumelhart, Hinton and Williams (1986, "Learning representations by back-
propagating errors"). What matrix products take is rounded to a few bits of one unit for the matrix,
so that the products are exact: 8 bits of images, 6 of weights and of what else goes forward, 8 to
12 of what goes back. Measured over seeds, that is as good as float32.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import ceil, log2, prod
from typing import NamedTuple

import torch
from torch import Tensor

from digits import exact
from digits.exact import SINGLE, Quantised
from digits.network.draws import Draws
from digits.network.int8 import product
from digits.network.model import FORWARD_BITS, IMAGE_BITS
from digits.network.normalisation import EPSILON, Normalised
from digits.network.workers import Share
from digits.params import Train

# At least and at most: with 8 for all errors, `plain` comes to 0.0017 less on validation; more than
# 12 would need a third digit of int8. To leave room for them, images have FORWARD_BITS on the way
# back: over seeds, 8 were no better.
BACKWARD_BITS = 8, 12


class Layer(NamedTuple):
    """The numbers of a layer in training, or the gradient by them, as views of one vector."""

    weights: Tensor  # shape (inputs, outputs), transposed, as their gradient takes less time so
    bias: Tensor  # shape (outputs,)
    norm: Sequence[Tensor]  # of batch normalisation: gains, running means and variances, if any

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weights, (outputs, inputs), and bias of the plain layer that answers alike."""
        if not self.norm:
            return self.weights.T, self.bias
        gains, means, variances = self.norm
        factor = gains / exact.root(variances + EPSILON)
        return self.weights.T * factor[:, None], self.bias - means * factor


def view_layers(vector: Tensor, widths: Sequence[int]) -> list[Layer]:
    """Return layers of a vector: all weights, all biases, and gains, means, variances, if any."""
    hidden = [(width,) for width in widths[1:-1]]
    shapes = [*pairwise(widths), *hidden, (widths[-1],), *hidden * 3]
    ends = zip(shapes, accumulate(map(prod, shapes)), strict=True)
    held = [(shape, end) for shape, end in ends if end <= len(vector)]
    parts = [vector[end - prod(shape) : end].view(shape) for shape, end in held]
    layers = len(hidden) + 1
    weights, biases, rest = parts[:layers], parts[layers : 2 * layers], parts[2 * layers :]
    norms = [rest[number :: len(hidden)] for number in range(len(hidden))]
    return list(map(Layer, weights, biases, [*norms, []]))


class Passed(NamedTuple):
    """What the way back needs of a layer that a batch went through."""

    values: Tensor  # what came in, shape (rows, inputs): above 0 where the gradient passes
    inputs: Quantised[Tensor]  # these, rounded
    weights: Quantised[Tensor]  # shape (inputs, outputs)
    normalised: Normalised | None  # what batch normalisation made of its sums, if there is any


class Batch(NamedTuple):
    """A worker's rows of a batch."""

    images: Tensor  # shape (rows, pixels)
    labels: Tensor  # shape (rows,)
    power: Tensor  # what `exact.power_within` returns of all images, these and others
    share: Share


def backpropagate(
    network: Sequence[Layer],
    gradient: Sequence[Layer],
    batch: Batch,
    draws: Draws,
    params: Train,
) -> Tensor:
    """Return the logits of a worker's rows, (rows, classes); write the gradient of the mean loss.

    That is of all rows, by this worker's lines of weights, and by all else. Running statistics
    move as well.
    """
    share = batch.share
    logits, passed = _go_forward(network, batch, draws, params)
    errors, factors = slope(logits, batch.labels, params.label_smoothing, share.rows), []
    for layer, by_layer, one in reversed(list(zip(network, gradient, passed, strict=True))):
        if one.normalised:
            by_gains, by_bias, errors = one.normalised.differentiate(errors, layer.norm[0])
            by_layer.norm[0].copy_(by_gains)
            by_layer.bias.copy_(by_bias)
        wrong = share.quantise(errors, _backward_bits(share.rows))
        factors.append((one.inputs.coarser(FORWARD_BITS), wrong))
        if one is not passed[0]:
            coarser = wrong.coarser(_backward_bits(errors.shape[1]))
            errors = product(coarser, one.weights.T)
            errors = torch.ops.aten.threshold_backward(errors, one.values, 0)
            if params.dropout:
                errors.mul_(1 / (1 - params.dropout))
    for by_layer, (inputs, wrong) in zip(gradient, share.gather(factors[::-1]), strict=True):
        own = share.workers.shard(len(by_layer.weights))
        product(inputs.T, wrong, out=by_layer.weights[own])
        if not by_layer.norm:
            by_layer.bias.copy_(wrong.values.sum(dim=0, dtype=torch.float64))
    return logits


def _backward_bits(terms: int) -> int:
    """Return how many bits errors may have, for float32 to hold their product of so many terms."""
    least, most = BACKWARD_BITS
    return max(least, min(most, SINGLE - FORWARD_BITS - ceil(log2(terms))))


def _go_forward(
    network: Sequence[Layer], batch: Batch, draws: Draws, params: Train
) -> tuple[Tensor, list[Passed]]:
    """Return the logits, and what each layer leaves for the way back."""
    share, passed = batch.share, list[Passed]()
    values = _disturb(batch.images, params.input_noise, draws, share)
    quantised = share.workers.quantise([layer.weights for layer in network])
    power = None if params.input_noise else batch.power
    for number, (layer, weights) in enumerate(zip(network, quantised, strict=True), start=1):
        inputs = share.quantise(values, FORWARD_BITS if passed else IMAGE_BITS, power)
        (sums, normalised), power = (product(inputs, weights), None), None
        if layer.norm:
            gains, means, variances = layer.norm
            normalised = Normalised.of(sums, means, variances, share)
            sums = normalised.scaled(gains)
            if not (params.hidden_noise or params.dropout):
                power = normalised.power_passed(gains, layer.bias)
        passed.append(Passed(values, inputs, weights, normalised))
        values = sums.add_(layer.bias)
        if number < len(network):
            values = _disturb(values, params.hidden_noise, draws, share).relu_()
            values = _drop(values, params.dropout, draws, share)
    return values, passed


def _disturb(values: Tensor, deviation: float, draws: Draws, share: Share) -> Tensor:
    # Rasmus et al. (2015, "Semi-supervised learning with ladder networks", section 3).
    if not deviation:
        return values
    return values + draws.normal(share.rows, values.shape[1])[share.own] * deviation


def _drop(values: Tensor, dropped: float, draws: Draws, share: Share) -> Tensor:
    # Srivastava et al. (2014, "Dropout: a simple way to prevent neural networks from overfitting").
    if not dropped:
        return values
    kept = draws.uniform(share.rows, values.shape[1])[share.own] >= dropped
    return values * kept * (1 / (1 - dropped))


def slope(logits: Tensor, labels: Tensor, label_smoothing: float, rows: int) -> Tensor:
    """Return the gradient of the cross-entropy's mean over so many rows by logits, of their shape.

    Logits, (own rows, classes), are of some or all of these rows.
    """
    classes, shares = logits.shape[1], exact.softmax(logits)
    shares.sub_(label_smoothing / classes)
    hit = torch.full_like(shares[:, :1], label_smoothing - 1)
    return exact.over(shares.scatter_add_(1, labels[:, None], hit), rows).to(torch.float32)


def cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the loss of each row in nats, float64, shape (rows,), of logits (rows, classes)."""
    logarithms = exact.log_softmax(logits)
    own = logarithms.gather(1, labels[:, None])[:, 0]
    spread = exact.total(logarithms, 1) * (label_smoothing / logits.shape[1])
    return -(own * (1 - label_smoothing) + spread)
