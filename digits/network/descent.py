"""Descent: a step of all parameters against their gradient, with momentum and weight decay."""

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor

from digits.network.backpropagation import view_layers
from digits.network.workers import Workers
from digits.params import Train

BLOCK = 2**18  # numbers
Vectors = tuple[Tensor, ...]  # of one length


class Descent:
    """The numbers of a network in training, and what one step leaves for the next; all in place."""

    def __init__(
        self, values: Tensor, widths: Sequence[int], params: Train, workers: Workers
    ) -> None:
        """Begin with the values of all layers, float32: parameters, and then running statistics.

        Of weights, a worker takes the steps of the lines that are its shard.
        """
        statistics = 2 * sum(widths[1:-1]) if params.batch_norm else 0
        parameters = values[: len(values) - statistics]
        slopes = torch.zeros_like(parameters)  # in which a step may leave anything
        self.network, self.gradient = view_layers(values, widths), view_layers(slopes, widths)
        self.values = values
        self.momentum = torch.zeros_like(parameters)  # the running sum of the gradients
        self.averages = values.clone() if params.averaging else values[:0]  # over the steps
        self._params, self._workers = params, workers
        self._blocks, self._averaged = list[tuple[float, Vectors]](), list[Vectors]()
        self._parts = _deal([tuple(layer.weights.shape) for layer in self.network], workers)
        rest = slice(sum(layer.weights.numel() for layer in self.network), None)
        spared = 0.0 if params.decayed == "weights" else params.weight_decay
        own = [(part, params.weight_decay) for part in self._parts[workers.rank]]
        for part, decay in (*own, (rest, spared)):
            parts = _cut(parameters[part], self.momentum[part], slopes[part])
            self._blocks += [(decay, block) for block in parts]
            if params.averaging:
                self._averaged += _cut(self.averages[part], values[part])

    def complete(self) -> None:
        """Take from the other workers what they have taken steps of."""
        for numbers in (self.values, self.momentum, self.averages):
            self._workers.complete(numbers, self._parts)

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


def _deal(shapes: Sequence[tuple[int, ...]], workers: Workers) -> list[list[slice]]:
    """Return by worker which parts of the vector of all weights are its lines, layer by layer."""
    if workers.size == 1:
        return [[slice(sum(map(prod, shapes)))]]
    dealt, start = [list[slice]() for _ in range(workers.size)], 0
    for lines, width in shapes:
        for parts, part in zip(dealt, workers.shards(lines), strict=True):
            parts.append(slice(start + part.start * width, start + part.stop * width))
        start += lines * width
    return dealt


def _cut(*vectors: Tensor) -> Iterator[Vectors]:
    """Yield parts of vectors of one length, so small on a CPU that its cache holds them."""
    size = BLOCK if vectors[0].device.type == "cpu" else len(vectors[0])
    return zip(*(vector.split(size) for vector in vectors), strict=True)
