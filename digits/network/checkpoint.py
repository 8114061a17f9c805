"""Checkpoints: a training run that was stopped goes on after its last whole epoch, or within one.

A checkpoint is named after params, data and this library's code: what decides a run's bytes, on
whatever machine. So none is taken for another run's, and one goes on elsewhere. Its file holds a
SHA-256, 32 bytes, of that name, as a whole, and of what follows; and safetensors. It lies beside
the network, whose own place is cleared before training starts.
"""

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from digits.errors import expecting
from digits.files import replacing
from digits.network.model import MODEL
from digits.network.training import Epoch, Trainer

_NUMBERS = ("values", "momentum", "averages")


def hash_code() -> str:
    """Return a SHA-256, in hexadecimal, of the code of this library."""
    modules = sorted(Path(__file__).parent.parent.rglob("*.py"))
    return hashlib.sha256(b"".join(module.read_bytes() for module in modules)).hexdigest()


def identify(*settings: object) -> str:
    """Return a SHA-256, in hexadecimal, of params, digests of rows, and this library's code."""
    return hashlib.sha256((repr(settings) + hash_code()).encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """The state of one training run, kept on disk as long as it has not ended."""

    run: str  # what `identify` returned for it

    @property
    def path(self) -> Path:
        """Where the state lies."""
        return MODEL.with_name(f"{self.run[:16]}.checkpoint")

    def save(self, trainer: Trainer) -> None:
        """Keep where training is, in the place of where it was before."""
        trainer.descent.complete()
        if not trainer.workers.leads:
            return
        history = json.dumps([asdict(epoch) for epoch in trainer.history])
        tensors = {name: getattr(trainer.descent, name).cpu() for name in _NUMBERS}
        tensors["generator"], tensors["begun"] = trainer.generator.get_state(), trainer.begun
        tensors["losses"] = torch.tensor(trainer.losses, dtype=torch.float64)
        tensors["history"] = torch.tensor(list(history.encode()), dtype=torch.uint8)
        content = save(tensors)
        with replacing(self.path) as temporary:
            temporary.write_bytes(self._digest(content) + content)

    def restore(self, trainer: Trainer) -> None:
        """Bring a new training to where the run was stopped, if it was, and say so.

        Of several workers' checkpoints, they all take the one that is the furthest.
        """
        content = self._read() if trainer.workers.leads else b""
        content = trainer.workers.furthest(content, *_progress(content))
        if not content:
            return
        tensors = load(content)
        for name in _NUMBERS:
            getattr(trainer.descent, name).copy_(tensors[name])
        trainer.generator.set_state(tensors["generator"])
        trainer.begun, trainer.losses = tensors["begun"], tensors["losses"].tolist()
        trainer.history = _load_history(tensors["history"])
        within = " and some of the next" if trainer.losses else ""
        print(f"train: goes on after epoch {len(trainer.history)}{within}")

    def _read(self) -> bytes:
        """Return what was saved, if anything was, and it is whole."""
        if not self.path.exists():
            return b""
        with expecting(self.path, "a checkpoint"):
            content = self.path.read_bytes()
        if self._digest(content[32:]) == content[:32]:
            return content[32:]
        told = "damaged, or of another run, and not used; expected a checkpoint of this one"
        print(f"warning: {self.path}: {told}", file=sys.stderr)
        return b""

    def _digest(self, content: bytes) -> bytes:
        return hashlib.sha256(self.run.encode() + content).digest()


def _load_history(stored: Tensor) -> list[Epoch]:
    return [Epoch(**one) for one in json.loads(stored.numpy().tobytes())]


def _progress(content: bytes) -> tuple[int, int]:
    """Return how many epochs are behind what was saved, and how many looks at the next."""
    if not content:
        return 0, 0
    tensors = load(content)
    return len(_load_history(tensors["history"])), len(tensors["losses"])
