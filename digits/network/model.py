"""The network: a multilayer perceptron, or several as one, and their file of weights."""

import json
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from digits import exact
from digits.errors import InputError, expecting, shorten
from digits.exact import product, quantise
from digits.files import replacing

MODEL = Path("models/mlp.safetensors")
WRITTEN = "a network that train wrote"
FORWARD_BITS = 6  # of weights and of what they are multiplied with: they fit int8
IMAGE_BITS = 8  # of images, as they have no more; networks of `fast` answer 1 % more wrongly with 6


class MLP(nn.Module):
    """Linear layers with ReLU between them; `widths` are of inputs, hidden layers and classes."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        # What nn.Linear draws here, unseeded, is never used: training or a file gives the weights.
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (rows, classes), of images, shape (rows, pixels).

        What a layer multiplies is rounded, line by line, to a few bits and a sign.
        """
        values = images
        for number, layer in enumerate(self.layers):
            bits = FORWARD_BITS if number else IMAGE_BITS
            rows = quantise(values.relu_() if number else values, bits, dim=1)
            weights, bias = layer.parameters()
            values = product(rows, quantise(weights, FORWARD_BITS, dim=1).T).add_(bias)
        return values


class Ensemble(nn.Module):
    """Networks of the same widths, or one, whose logits are averaged.

    That is a logarithmic opinion pool of equal weights (Hinton 1999, "Products of experts").
    """

    def __init__(self, networks: Sequence[MLP]) -> None:
        super().__init__()
        self.widths = networks[0].widths
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (rows, classes), of images, shape (rows, pixels)."""
        return mean(network(images) for network in self.networks)


def mean(terms: Iterable[Tensor]) -> Tensor:
    """Return the mean of at least one tensor of one shape, added in their order, one at a time."""
    found = list(terms)
    return exact.over(reduce(add, found), len(found))


def encode(model: Ensemble) -> bytes:
    """Return weights and architecture as a safetensors file, the same bytes each time."""
    # One entry of metadata: safetensors writes several in an order that changes.
    architecture = {"widths": model.widths, "networks": len(model.networks)}
    metadata = {"architecture": json.dumps(architecture)}
    return save(dict(model.state_dict()), metadata=metadata)


def save_model(model: Ensemble, path: Path) -> None:
    """Write what `encode` returns."""
    with replacing(path) as temporary:
        temporary.write_bytes(encode(model))


def load_model(path: Path, pixels: int, classes: int) -> Ensemble:
    """Read networks that `save_model` wrote; InputError where they are not just such ones."""
    damaged = (SafetensorError, KeyError, TypeError, ValueError, RuntimeError)
    with expecting(path, WRITTEN, *damaged), safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        architecture = json.loads((file.metadata() or {})["architecture"])
        widths, networks = architecture["widths"], architecture["networks"]
        if min(widths) < 1 or networks * 2 * (len(widths) - 1) != len(tensors):
            raise ValueError(f"{len(tensors)} tensors for {shorten(architecture)}")
        with torch.device("meta"):  # without memory, until the file is known to hold just these
            model = Ensemble([MLP(widths) for _ in range(networks)])
        model.load_state_dict(tensors, assign=True)
        if any(one.dtype != torch.float32 or not one.isfinite().all() for one in tensors.values()):
            raise ValueError("weights that are not finite float32")
    if (widths[0], widths[-1]) != (pixels, classes):
        raise InputError(
            f"{path}: a network from {widths[0]} pixels to {widths[-1]} classes; "
            f"expected {pixels} to {classes}"
        )
    return model.eval()
