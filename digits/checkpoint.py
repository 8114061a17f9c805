"""Checkpoints: a training run that was stopped goes on after its last whole epoch.

A checkpoint is named after params, data, this library's code, torch's version and its kernels: what
decides a run's bytes on one machine. So none is taken for another run's. Its file holds

    32 bytes        SHA-256 of that name, as a whole, and of what follows
    safetensors     model.*, momentum.*, averages.*, generator; history (epochs, 4) float64

It lies beside the network, whose own place is cleared before training starts.
"""

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from digits.errors import InputError, expecting
from digits.files import replacing
from digits.model import MODEL
from digits.training import Epoch, Labelled, TrainingState

_DIGEST = 32


def identify(settings: Sequence[object], *parts: Labelled) -> str:
    """Return a SHA-256, in hexadecimal, of all that decides the bytes of a training run.

    Args:
        settings: the params that the run depends on.
        parts: the rows that it depends on.
    """
    kernels = torch.backends.cpu.get_cpu_capability()
    digest = hashlib.sha256(f"{torch.__version__} {kernels} {settings!r}".encode())
    digest.update(_identify_code().encode())
    for part in parts:
        for tensor in (part.images, part.labels):
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().data)
    return digest.hexdigest()


def _identify_code() -> str:
    """Return a digest of this library, as a stage took it before it was imported, or else as is."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    contents = b"".join(module.read_bytes() for module in modules)
    return os.environ.get("STAGE_CODE") or hashlib.sha256(contents).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """The state of one training run, kept on disk.

    Attributes:
        run: what `identify` returned for the run.
    """

    run: str

    @property
    def path(self) -> Path:
        """Where the state lies, as long as the run has not ended."""
        return MODEL.with_name(f"{self.run[:16]}.checkpoint")

    def save(self, state: TrainingState) -> None:
        """Keep `state` in the place of the one before."""
        content = save(_flatten(state))
        with replacing(self.path) as temporary:
            temporary.write_bytes(self._digest(content) + content)

    def restore(self, state: TrainingState) -> None:
        """Bring a new `state` to where the run was stopped, if it was.

        A checkpoint that cannot be used is reported in one line on standard error, and ignored.
        """
        if not self.path.exists():
            return
        try:
            tensors = self._load()
        except InputError as error:
            print(f"warning: {error}; training starts at the first epoch", file=sys.stderr)
            return
        _unflatten(tensors, state)
        print(f"train: goes on after epoch {len(state.history)}, from {self.path}")

    def remove(self) -> None:
        """Remove the checkpoint of a run that has ended."""
        self.path.unlink(missing_ok=True)

    def _digest(self, content: bytes) -> bytes:
        return hashlib.sha256(self.run.encode() + content).digest()

    def _load(self) -> dict[str, Tensor]:
        with expecting(self.path, "a checkpoint"):
            content = self.path.read_bytes()
        if self._digest(content[_DIGEST:]) != content[:_DIGEST]:
            raise InputError(
                f"{self.path}: damaged, or of another run; expected its own checkpoint"
            )
        return load(content[_DIGEST:])


def _lists(state: TrainingState) -> dict[str, list[Tensor]]:
    return {"momentum": state.momentum, "averages": state.averages}


def _flatten(state: TrainingState) -> dict[str, Tensor]:
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    for name, values in _lists(state).items():
        tensors |= {f"{name}.{index}": value for index, value in enumerate(values)}
    history = torch.tensor([astuple(epoch) for epoch in state.history], dtype=torch.float64)
    return tensors | {"generator": state.generator.get_state(), "history": history}


def _unflatten(tensors: dict[str, Tensor], state: TrainingState) -> None:
    model = {name: tensors[f"model.{name}"] for name in state.model.state_dict()}
    state.model.load_state_dict(model)
    for name, values in _lists(state).items():
        for index, value in enumerate(values):
            value.copy_(tensors[f"{name}.{index}"])
    state.generator.set_state(tensors["generator"])
    state.history[:] = [Epoch(int(epoch), *rest) for epoch, *rest in tensors["history"].tolist()]
