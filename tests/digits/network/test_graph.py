from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from digits.network.training import Epoch, Trainer
from digits.params import Train
from tests.conftest import draw_labelled, tiny_params
from tests.sandbox import CLASSES

EVERYTHING = {"batch_norm": True, "dropout": 0.2, "input_noise": 0.1, "hidden_noise": 0.1}
EVERYTHING |= {"averaging": 0.9, "nesterov": True, "augment.rotation": 9, "augment.elastic": 2}


def tensors(found: Any) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else [*(found if isinstance(found, tuple) else ())]


class Recorded(TorchDispatchMode):
    """A CUDA graph on a CPU: what was done as it was captured, with the tensors it was done to."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.replays = 0
        self._calls: list[tuple[Callable[..., Any], Any, Any, Any]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in filter(torch.is_tensor, args):
            storage = value.untyped_storage()
            self._before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        found = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, found))
        return found

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for storage, before in self._before.values():
            storage.copy_(before)  # as a capture does nothing on a GPU

    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, found in self._calls:
            for made, kept in zip(tensors(func(*args, **kwargs)), tensors(found), strict=True):
                if made.untyped_storage().data_ptr() != kept.untyped_storage().data_ptr():
                    kept.copy_(made)


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["plain", "everything"])
def test_training_as_a_graph_comes_to_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    changed = {f"train.{key}": value for key, value in changes.items()}
    train, graphs = Train(**tiny_params(changed)["train"]), list[Recorded]()

    def run() -> list[Epoch]:
        return list(Trainer(draw_labelled(95), draw_labelled(30), CLASSES, train).run())

    def capture(graph: Recorded) -> Recorded:
        graphs.append(graph)
        return graph

    expected = run()
    monkeypatch.setattr("torch.cuda.CUDAGraph", Recorded)
    monkeypatch.setattr("torch.cuda.graph", capture)
    monkeypatch.setattr(Tensor, "is_cuda", property(lambda _: True))
    assert run() == expected
    # All batches but the last of each epoch, which is of another size, and the very first.
    assert [graph.replays for graph in graphs] == [3 * (95 // train.batch_size) - 1]
