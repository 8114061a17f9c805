"""Checkpoints: a training run that was stopped goes on after its last whole epoch.

A checkpoint is named after params, data and this library's code: what decides a run's bytes, on
whatever machine. So none is taken for another run's, and one goes on elsewhere. Its file holds

    32 bytes        SHA-256 of that name, as a whole, and of what follows
    safetensors     values, momentum, averages, generator, and history, as JSON, in bytes

It lies beside the network, whose own place is cleared before training starts.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from digits.errors import InputError, expecting
from digits.files import replacing
from digits.network.model import MODEL
from digits.network.training import Epoch, Labelled, TrainingState

_DIGEST = 32
_NUMBERS = ("values", "momentum", "averages")


def identify(settings: Sequence[object], *parts: Labelled) -> str:
    """Return a SHA-256, in hexadecimal, of all that decides the bytes of a training run.

    Args:
        settings: the params that the run depends on.
        parts: the rows that it depends on.
    """
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(_identify_code().encode())
    for part in parts:
        digest.update(part.sha256.encode())
    return digest.hexdigest()


def _identify_code() -> str:
    """Return a digest of this library."""
    modules = sorted(Path(__file__).parent.parent.rglob("*.py"))
    return hashlib.sha256(b"".join(module.read_bytes() for module in modules)).hexdigest()


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


def _flatten(state: TrainingState) -> dict[str, Tensor]:
    history = json.dumps([asdict(epoch) for epoch in state.history])
    return {
        **{name: getattr(state, name).cpu() for name in _NUMBERS},
        "generator": state.generator.get_state(),
        "history": torch.tensor(list(history.encode()), dtype=torch.uint8),
    }


def _unflatten(tensors: dict[str, Tensor], state: TrainingState) -> None:
    for name in _NUMBERS:
        getattr(state, name).copy_(tensors[name])
    state.generator.set_state(tensors["generator"])
    history = json.loads(bytes(tensors["history"].tolist()))
    state.history[:] = [Epoch(**epoch) for epoch in history]
