"""The network: a multilayer perceptron, and its file of weights."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from digits.errors import InputError, expecting
from digits.files import replacing

MODEL = Path("models/mlp.safetensors")
BATCH = 4096
WRITTEN = "a network that train wrote"


class MLP(nn.Module):
    """Linear layers with ReLU between them.

    Attributes:
        widths: the width of each layer: inputs, hidden layers, classes; at least two. With two, the
            network is a linear classifier.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        # What nn.Linear draws here, unseeded, is never used: `reset` or a file gives the weights.
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def reset(self, generator: torch.Generator) -> None:
        """Draw weights and biases as nn.Linear does: uniform within 1 / sqrt(inputs) of 0."""
        for layer, inputs in zip(self.layers, self.widths, strict=False):
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (rows, classes), of images, shape (rows, pixels)."""
        *hidden, last = self.layers
        activations = images
        for layer in hidden:
            activations = layer(activations).relu()  # (rows, width)
        logits: Tensor = last(activations)
        return logits


def infer(model: MLP, images: Tensor) -> Tensor:
    """Return logits, shape (rows, classes), computed in batches that bound memory."""
    with torch.inference_mode():
        return torch.cat([model(batch) for batch in images.split(BATCH)])


def probabilities(logits: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return probabilities and their logarithms, both of the shape of `logits`, in float64."""
    wide = logits.double()
    return wide.softmax(dim=1).numpy(), wide.log_softmax(dim=1).numpy()


def save_model(model: MLP, path: Path) -> None:
    """Write weights and architecture to one safetensors file, the same bytes each time."""
    # One entry of metadata: safetensors writes several in an order that changes.
    metadata = {"architecture": json.dumps({"widths": model.widths})}
    content = save(dict(model.state_dict()), metadata=metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def load_model(path: Path) -> MLP:
    """Read a network that `save_model` wrote.

    Raises:
        InputError: there is no such file, or it does not hold exactly this network's weights.
    """
    try:
        with expecting(path, WRITTEN), safe_open(path, framework="pt") as file:
            model = MLP(json.loads(file.metadata()["architecture"])["widths"])
            names = file.keys()
            model.load_state_dict({name: file.get_tensor(name) for name in names})
    except (SafetensorError, RuntimeError, TypeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: {reason}; expected {WRITTEN}") from None
    return model.eval()
