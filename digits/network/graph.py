"""CUDA graphs: a step of training that a GPU is told of as a whole, not kernel by kernel."""

from collections.abc import Callable
from typing import Concatenate

import torch
from torch import Tensor

from digits.network.draws import Draws


class Graph(Draws):
    """A function whose work on a GPU is captured when it has run once, and then done again.

    Its draws lie in tensors that stay where they are, made when it runs: a graph's own tensors
    share memory with those before them.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        super().__init__(generator, device)
        self._slots: list[Tensor] = []
        self._graph: torch.cuda.CUDAGraph | None = None

    def uniform(self, *shape: int) -> Tensor:
        """Return the next tensor of such numbers; it is not to be changed."""
        if self._graph:
            return next(self._captured)
        self._slots.append(super().uniform(*shape))
        return self._slots[-1]

    def run(self, function: Callable[Concatenate[Draws, ...], Tensor], *inputs: Tensor) -> Tensor:
        """Return what the function, the same at each call, makes of draws and inputs, unwaited for.

        So the draws of a call are made while the GPU is still at work for those before. Inputs have
        the same shapes and types at each call. The function changes in place what it changes, does
        not wait for the GPU, and what it keeps for later, it makes at once.
        """
        if not self._graph:
            output = function(self, *inputs)
            self._inputs = [value.clone() for value in inputs]
            self._graph, self._captured = torch.cuda.CUDAGraph(), iter(self._slots)
            with torch.cuda.graph(self._graph):
                self._output = function(self, *self._inputs)
            return output
        for slot, value in zip(self._inputs, inputs, strict=True):
            slot.copy_(value)
        for slot in self._slots:
            slot.copy_(super().uniform(*slot.shape))
        self._graph.replay()
        return self._output.clone()
