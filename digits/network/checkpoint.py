"""Checkpoints: a training run that was stopped goes on after its last whole epoch.

A checkpoint is named after params, data and this library's code: what decides a run's bytes, on
whatever machine. So none is taken for another run's, and one goes on elsewhere. Its file holds a
SHA-256, 32 bytes, of that name, as a whole, and of what follows; and safetensors. It lies beside
the network, whose own place is cleared before training starts.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save

from digits.errors import expecting
from digits.files import replacing
from digits.network.model import MODEL
from digits.network.training import Epoch, Labelled, Trainer

_NUMBERS = ("values", "momentum", "averages")


def identify(settings: Sequence[object], *parts: Labelled) -> str:
    """Return a SHA-256, in hexadecimal, of params, rows and the code of this library."""
    modules = sorted(Path(__file__).parent.parent.rglob("*.py"))
    code = hashlib.sha256(b"".join(module.read_bytes() for module in modules)).hexdigest()
    told = repr(settings) + code + "".join(part.sha256 for part in parts)
    return hashlib.sha256(told.encode()).hexdigest()


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
        history = json.dumps([asdict(epoch) for epoch in trainer.history])
        tensors = {name: getattr(trainer.descent, name).cpu() for name in _NUMBERS}
        tensors["generator"] = trainer.generator.get_state()
        tensors["history"] = torch.tensor(list(history.encode()), dtype=torch.uint8)
        content = save(tensors)
        with replacing(self.path) as temporary:
            temporary.write_bytes(self._digest(content) + content)

    def restore(self, trainer: Trainer) -> None:
        """Bring a new training to where the run was stopped, if it was, and say so."""
        if not self.path.exists():
            return
        with expecting(self.path, "a checkpoint"):
            content = self.path.read_bytes()
        if self._digest(content[32:]) != content[:32]:
            told = "damaged, or of another run; expected its own checkpoint"
            where = "training starts at the first epoch"
            print(f"warning: {self.path}: {told}; {where}", file=sys.stderr)
            return
        tensors = load(content[32:])
        for name in _NUMBERS:
            getattr(trainer.descent, name).copy_(tensors[name])
        trainer.generator.set_state(tensors["generator"])
        trainer.history = [Epoch(**one) for one in json.loads(tensors["history"].numpy().tobytes())]
        print(f"train: goes on after epoch {len(trainer.history)}, from {self.path}")

    def _digest(self, content: bytes) -> bytes:
        return hashlib.sha256(self.run.encode() + content).digest()
