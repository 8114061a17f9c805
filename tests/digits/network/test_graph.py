from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from digits.network.draws import Draws
from digits.network.graph import Graph
from digits.network.training import Epoch, Trainer
from digits.params import Augment, Train, load_params
from tests.conftest import draw_labelled
from tests.sandbox import CLASSES


def tensors(found: Any) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else [*(found if isinstance(found, tuple) else ())]


class Recorded(TorchDispatchMode):
    """A CUDA graph on a CPU: what was done while it was captured, with the tensors it was done to.

    Attributes:
        replays: how often it was done again.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.replays = 0
        self._calls: list[tuple[Callable[..., Any], Any, Any, Any]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in tensors(args):
            if isinstance(value, Tensor):
                storage = value.untyped_storage()
                self._before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        found = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, found))
        return found

    def undo(self) -> None:
        """Bring all back to where it was before the capture, as that does nothing on a GPU."""
        for storage, before in self._before.values():
            storage.copy_(before)

    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, found in self._calls:
            for made, kept in zip(tensors(func(*args, **kwargs)), tensors(found), strict=True):
                if made.untyped_storage().data_ptr() != kept.untyped_storage().data_ptr():
                    kept.copy_(made)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """Let this CPU pass for a GPU; return what grows with each graph."""
    graphs: list[Recorded] = []

    @contextmanager
    def capture(graph: Recorded) -> Iterator[None]:
        with graph:
            yield
        graph.undo()
        graphs.append(graph)

    monkeypatch.setattr("torch.cuda.CUDAGraph", Recorded)
    monkeypatch.setattr("torch.cuda.graph", capture)
    return graphs


def step(draws: Draws, state: Tensor, given: Tensor) -> Tensor:
    state.add_(given)
    return state + draws.uniform(3) * draws.normal(3)


@pytest.mark.usefixtures("recorded")
def test_a_graph_does_what_its_function_does_with_the_draws_of_each_call() -> None:
    inputs, cpu = [torch.ones(3), torch.arange(3.0), torch.zeros(3)], torch.device("cpu")
    states, generators = torch.zeros(2, 3), [torch.Generator().manual_seed(0) for _ in range(2)]
    draws, graph = Draws(generators[0], cpu), Graph(generators[1], cpu)
    expected = [step(draws, states[0], given) for given in inputs]

    def second(draws: Draws, given: Tensor) -> Tensor:
        return step(draws, states[1], given)

    found = [graph.run(second, given) for given in inputs]
    assert torch.equal(torch.stack(found), torch.stack(expected))
    assert torch.equal(*states)


EVERYTHING = {
    "batch_norm": True,
    "dropout": 0.2,
    "input_noise": 0.1,
    "hidden_noise": 0.1,
    "averaging": 0.9,
    "nesterov": True,
    "augment": Augment(rotation=9, scale=0.1, shear=0.1, shift=1, elastic=2, smoothness=1),
}


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["plain", "everything"])
def test_training_as_a_graph_comes_to_the_same_bytes(
    project: Any, monkeypatch: pytest.MonkeyPatch, recorded: list[Recorded], changes: Any
) -> None:
    train: Train = load_params().train.model_copy(update={"epochs": 3, **changes})

    def run() -> list[Epoch]:
        return list(Trainer(draw_labelled(95), draw_labelled(30), CLASSES, train).run())

    expected = run()
    assert not recorded
    monkeypatch.setattr(Tensor, "is_cuda", property(lambda _: True))
    assert run() == expected
    # All batches but the last of each epoch, which is of another size, and the very first.
    assert [graph.replays for graph in recorded] == [3 * (95 // train.batch_size) - 1]
