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
from torch.nn import functional

from digits.errors import InputError, expecting, shorten
from digits.files import replacing
from digits.tensors import BLOCK

MODEL = Path("models/mlp.safetensors")
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
        return activations(list(self.parameters()), images)[-1]


def activations(parameters: Sequence[Tensor], images: Tensor) -> list[Tensor]:
    """Return the inputs of each layer, shape (rows, width), and the logits after the last.

    Args:
        parameters: of a network: the weights and the bias of each layer in turn.
        images: shape (rows, pixels), normalised.
    """
    *hidden, last = zip(parameters[::2], parameters[1::2], strict=True)
    found = [images]
    for weights, bias in hidden:
        found.append(functional.linear(found[-1], weights, bias).relu_())
    found.append(functional.linear(found[-1], *last))
    return found


def infer(model: MLP, images: Tensor) -> Tensor:
    """Return logits, shape (rows, classes), computed block by block, which bounds memory."""
    with torch.inference_mode():
        return torch.cat([model(batch) for batch in images.split(BLOCK)])


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


def load_model(path: Path, pixels: int, classes: int) -> MLP:
    """Read a network that `save_model` wrote.

    No network is made before the names, shapes and types in the file are known to be one's.

    Raises:
        InputError: there is no such file, or it does not hold exactly the weights of a network from
            that many pixels to that many classes, all of them finite.
    """
    damaged = (SafetensorError, TypeError, KeyError, ValueError, RecursionError)
    with expecting(path, WRITTEN, *damaged), safe_open(path, framework="pt") as file:
        widths = _read_widths(file)
        model = MLP(widths)
        model.load_state_dict({name: file.get_tensor(name) for name in model.state_dict()})
    if (widths[0], widths[-1]) != (pixels, classes):
        raise InputError(
            f"{path}: a network from {widths[0]} pixels to {widths[-1]} classes; "
            f"expected {pixels} to {classes}"
        )
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise InputError(f"{path}: {name} is not finite; expected {WRITTEN}")
    return model.eval()


def _read_widths(file: safe_open) -> list[int]:
    """Return the widths that `file` names; raise ValueError unless it holds just such tensors."""
    named: object = json.loads((file.metadata() or {})["architecture"])["widths"]
    widths = [width for width in named if type(width) is int] if isinstance(named, list) else []
    if widths != named or len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths = {shorten(named)}")
    expected = {}
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        expected[f"layers.{number}.weight"] = ("F32", [outputs, inputs])
        expected[f"layers.{number}.bias"] = ("F32", [outputs])
    names = file.keys()
    slices = {name: file.get_slice(name) for name in names}
    found = {name: (tensor.get_dtype(), tensor.get_shape()) for name, tensor in slices.items()}
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise ValueError(f"{shorten(name)} is {found.get(name)}, and not {expected.get(name)}")
    return widths
