"""Descent: a step of all parameters against their gradient, with momentum and weight decay."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from digits.network.backpropagation import view_layers
from digits.params import Train

BLOCK = 2**18  # numbers


class Descent:
    """The numbers of a network in training, and what one step leaves for the next; all in place."""

    def __init__(self, values: Tensor, widths: Sequence[int], params: Train) -> None:
        """Begin with the values of all layers, float32: parameters, and then running statistics."""
        statistics = 2 * sum(widths[1:-1]) if params.batch_norm else 0
        parameters = values[: len(values) - statistics]
        slopes = torch.zeros_like(parameters)  # in which a step may leave anything
        self.network, self.gradient = view_layers(values, widths), view_layers(slopes, widths)
        self.values = values
        self.momentum = torch.zeros_like(parameters)  # the running sum of the gradients
        self.averages = values.clone() if params.averaging else values[:0]  # over the steps
        self._params, self._blocks = params, []
        weights = sum(layer.weights.numel() for layer in self.network)
        spared = 0.0 if params.decayed == "weights" else params.weight_decay
        for part, decay in ((slice(weights), params.weight_decay), (slice(weights, None), spared)):
            parts = _cut(parameters[part], self.momentum[part], slopes[part])
            self._blocks += [(decay, block) for block in parts]
        self._averaged = list(_cut(self.averages, values)) if params.averaging else []

    def step(self, rate: Tensor, share: Tensor) -> None:
        """Take a step at a learning rate, and take that share of its outcome into the averages."""
        for decay, (values, momentum, gradient) in self._blocks:
            if decay:
                gradient.add_(values * decay)
            momentum.add_(gradient)
            if self._params.nesterov:
                gradient.add_(momentum.mul_(self._params.momentum)).mul_(rate)
            else:
                torch.mul(momentum, rate, out=gradient)
                momentum.mul_(self._params.momentum)
            values.sub_(gradient)
        for averages, values in self._averaged:
            averages.add_((values - averages).mul_(share))


def _cut(*vectors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield parts of vectors of one length, so small on a CPU that its cache holds them."""
    size = BLOCK if vectors[0].device.type == "cpu" else len(vectors[0])
    return zip(*(vector.split(size) for vector in vectors), strict=True)
