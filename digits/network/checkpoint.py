"""Checkpoints: a training run that was stopped goes on after its last whole epoch.

A checkpoint is named after params, data and this library's code: what decides a run's bytes, on
whatever machine. So none is taken for another run's, and one goes on elsewhere. It lies beside the
network, whose own place is cleared before training starts.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

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
    """The state of one training run, a safetensors file as long as the run has not ended."""

    run: str  # what `identify` returned for it

    @property
    def path(self) -> Path:
        """Where the state lies."""
        return MODEL.with_name(f"{self.run[:16]}.checkpoint")

    def save(self, trainer: Trainer) -> None:
        """Keep where training is, in the place of where it was before."""
        tensors = {name: getattr(trainer.descent, name).cpu() for name in _NUMBERS}
        tensors["generator"] = trainer.generator.get_state()
        history = {"history": json.dumps(list(map(asdict, trainer.history)))}
        with replacing(self.path) as temporary:
            temporary.write_bytes(save(tensors, history))

    def restore(self, trainer: Trainer) -> None:
        """Bring a new training to where the run was stopped, if it was, and say so."""
        if not self.path.exists():
            return
        expected = "a whole checkpoint: remove it, and training starts anew"
        with expecting(self.path, expected, SafetensorError), safe_open(self.path, "pt") as file:
            for name in _NUMBERS:
                getattr(trainer.descent, name).copy_(file.get_tensor(name))
            trainer.generator.set_state(file.get_tensor("generator"))
            trainer.history = [Epoch(**one) for one in json.loads(file.metadata()["history"])]
        print(f"train: goes on after epoch {len(trainer.history)}, from {self.path}")
