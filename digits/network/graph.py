"""CUDA graphs: a step of training that a GPU is told of as a whole, not kernel by kernel."""

from collections.abc import Callable, Sequence
from typing import Concatenate

import torch
from torch import Tensor

from digits.network.draws import Draws

Function = Callable[Concatenate[Draws, ...], Tensor]


class Slots(Draws):
    """Draws in tensors that stay where they are, from the first time on, as a graph needs them.

    A graph's own tensors share memory with those before them: these lie elsewhere.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        super().__init__(generator, device)
        self._slots: list[Tensor] = []
        self._taken = 0

    def uniform(self, *shape: int) -> Tensor:
        """Return the next tensor, or a new one, of such numbers; it is not to be changed."""
        if self._taken == len(self._slots):
            self._slots.append(super().uniform(*shape))
        self._taken += 1
        return self._slots[self._taken - 1]

    def rewind(self) -> None:
        """Begin with the first tensor again."""
        self._taken = 0

    def fill(self) -> None:
        """Draw numbers into all tensors, in their order, as `Draws` does it."""
        for slot in self._slots:
            slot.copy_(super().uniform(*slot.shape))


class Graph:
    """A function whose work on a GPU is captured when it has run once, and then done again."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self._draws = Slots(generator, device)
        self._graph: torch.cuda.CUDAGraph | None = None

    def run(self, function: Function, *inputs: Tensor) -> Tensor:
        """Return what the function does, the same at each call, without waiting for it.

        So the draws of a call are made while the GPU is still at work for those before. Inputs have
        the same shapes and types at each call. The function changes in place what it changes, does
        not wait for the GPU, and what it keeps for later, it makes at once.
        """
        if self._graph is None:
            output = function(self._draws, *inputs)
            self._graph = self._capture(function, inputs)
            return output
        for slot, value in zip(self._inputs, inputs, strict=True):
            slot.copy_(value)
        self._draws.fill()
        self._graph.replay()
        return self._output.clone()

    def _capture(self, function: Function, inputs: Sequence[Tensor]) -> torch.cuda.CUDAGraph:
        """Take down what the function does, without doing it."""
        self._inputs, graph = [value.clone() for value in inputs], torch.cuda.CUDAGraph()
        self._draws.rewind()
        with torch.cuda.graph(graph):
            self._output = function(self._draws, *self._inputs)
        return graph
