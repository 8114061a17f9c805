"""Backpropagation: from a batch to its logits, and the gradient of the loss by every parameter.

The method is that of Rumelhart, Hinton and Williams (1986, "Learning representations by back-
propagating errors"). What matrix products take is rounded to a few bits, so that the products are
exact: a sign and 8 bits of images, 6 of weights and of what else goes forward, 8 to 12 of what goes
back, each with one unit for a whole matrix. Measured over seeds, that is as good as float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log2, prod
from typing import Self

import torch
from torch import Tensor

from digits import exact
from digits.exact import FLOAT, PRECISION, Quantised, product, quantise
from digits.network.draws import Draws
from digits.network.model import FORWARD_BITS, IMAGE_BITS
from digits.network.normalisation import Normalised, fold
from digits.params import Train

# At least and at most: errors differ more in size than the rest. With 8 for all of them, `plain`
# comes to 0.0017 less on validation; more than 12 would need a third digit of int8. To leave room
# for them, images have FORWARD_BITS on the way back: over seeds, 8 were no better.
BACKWARD_BITS = 8, 12


@dataclass(frozen=True)
class Layers:
    """The numbers of a network in training, as views of one vector, each by layer.

    Attributes:
        weights: shape (inputs, outputs), transposed, as their gradient takes less time so.
        biases: shape (outputs,).
        gains: of the hidden layers, shape (outputs,); none without batch normalisation.
        means: running, alike.
        variances: running, alike.
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    gains: Sequence[Tensor]
    means: Sequence[Tensor]
    variances: Sequence[Tensor]

    @classmethod
    def of(cls, vector: Tensor, widths: Sequence[int]) -> Self:
        """Return the views of a vector, which holds these attributes one after the other."""
        hidden = [(width,) for width in widths[1:-1]]
        shapes: list[tuple[int, ...]] = list(pairwise(widths))
        shapes += [*((width,) for width in widths[1:]), *hidden * 3]
        left, views = vector, []
        for shape in shapes:
            view, left = left[: prod(shape)], left[prod(shape) :]
            views += [view.view(shape)] if len(view) else []
        layers, ends = len(widths) - 1, len(hidden)
        parts = [views[:layers], views[layers : 2 * layers]]
        parts += [views[2 * layers + n * ends :][:ends] for n in range(3)]
        return cls(*parts)

    def fold(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights, (outputs, inputs), and biases of the plain network that answers alike."""
        folded = [(part.T, bias) for part, bias in zip(self.weights, self.biases, strict=True)]
        norms = zip(self.gains, self.means, self.variances, strict=True)
        for number, norm in enumerate(norms):
            folded[number] = fold(*folded[number], *norm)
        return folded


@dataclass(frozen=True)
class Passed:
    """What the way back needs of a layer that a batch went through.

    Attributes:
        inputs: shape (rows, inputs).
        weights: shape (inputs, outputs).
        normalised: what batch normalisation made of its sums, if there is any.
        outputs: shape (rows, outputs): above 0 where the gradient passes.
    """

    inputs: Quantised
    weights: Quantised
    normalised: Normalised | None
    outputs: Tensor


def backpropagate(
    network: Layers, gradient: Layers, images: Tensor, labels: Tensor, draws: Draws, params: Train
) -> Tensor:
    """Return the logits of a batch, shape (rows, classes), and write the gradient of its mean loss.

    Args:
        network: whose running statistics, if any, are moved as well.
        gradient: of the same shapes; it is overwritten.
        images: shape (rows, pixels), normalised.
        labels: shape (rows,), int64.
        draws: noise and dropout are made of.
        params: label smoothing, dropout and noise.
    """
    passed = _go_forward(network, images, draws, params)
    errors = slope(passed[-1].outputs, labels, params.label_smoothing)
    for number, layer in reversed(list(enumerate(passed))):
        if layer.normalised:
            found = layer.normalised.differentiate(errors, network.gains[number])
            gradient.gains[number].copy_(found[0])
            gradient.biases[number].copy_(found[1])
            errors = found[2]
        wrong = quantise(errors, _backward_bits(len(errors)))
        product(layer.inputs.coarser(FORWARD_BITS).T, wrong, out=gradient.weights[number])
        if not layer.normalised:
            gradient.biases[number].copy_(wrong.sums())
        if number:
            coarser = wrong.coarser(_backward_bits(errors.shape[1]))
            errors = product(coarser, layer.weights.T)
            below = passed[number - 1].outputs
            errors = torch.ops.aten.threshold_backward(errors, below, 0)
            if params.dropout:
                errors.mul_(1 / (1 - params.dropout))
    return passed[-1].outputs


def _backward_bits(terms: int) -> int:
    """Return how many bits errors may have, for float32 to hold their product of so many terms."""
    least, most = BACKWARD_BITS
    return max(least, min(most, PRECISION[FLOAT] - FORWARD_BITS - ceil(log2(terms))))


def _go_forward(network: Layers, images: Tensor, draws: Draws, params: Train) -> list[Passed]:
    values, passed = _disturb(images, params.input_noise, draws), []
    for number, bias in enumerate(network.biases):
        inputs = quantise(values, FORWARD_BITS if number else IMAGE_BITS)
        weights = quantise(network.weights[number], FORWARD_BITS)
        values, normalised = product(inputs, weights), None
        if number < len(network.gains):
            statistics = network.means[number], network.variances[number]
            normalised = Normalised.of(values, *statistics)
            values = normalised.scaled(network.gains[number])
        values.add_(bias)
        if number < len(network.biases) - 1:
            values = _disturb(values, params.hidden_noise, draws).relu_()
            values = _drop(values, params.dropout, draws)
        passed.append(Passed(inputs, weights, normalised, values))
    return passed


def _disturb(values: Tensor, deviation: float, draws: Draws) -> Tensor:
    """Return values with Gaussian noise of a deviation.

    Rasmus et al. (2015, "Semi-supervised learning with ladder networks", section 3).
    """
    return values + draws.normal(*values.shape) * deviation if deviation else values


def _drop(values: Tensor, share: float, draws: Draws) -> Tensor:
    """Return values, a share of them 0 and the others enlarged, so that their expected sum stays.

    Srivastava et al. (2014, "Dropout: a simple way to prevent neural networks from overfitting").
    """
    if not share:
        return values
    return values * (draws.uniform(*values.shape) >= share) * (1 / (1 - share))


def slope(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Return the gradient of the mean cross-entropy by the logits, shape (rows, classes)."""
    rows, classes = logits.shape
    shares = exact.softmax(logits)
    shares.sub_(label_smoothing / classes)
    hit = torch.full_like(shares[:, :1], label_smoothing - 1)
    return exact.over(shares.scatter_add_(1, labels[:, None], hit), rows).to(torch.float32)


def cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the loss of each row in nats, float64, shape (rows,).

    Args:
        logits: shape (rows, classes).
        labels: shape (rows,), int64.
        label_smoothing: the share of each label that is spread over all classes, from 0 to 1.
    """
    logarithms = exact.log_softmax(logits)
    own = logarithms.gather(1, labels[:, None])[:, 0]
    spread = exact.total(logarithms, dim=1) * (label_smoothing / logits.shape[1])
    return -(own * (1 - label_smoothing) + spread)
