"""The network: a multilayer perceptron, or several as one, and their file of weights."""

import itertools
import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import sqrt
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from digits import exact
from digits.errors import InputError, expecting, shorten
from digits.exact import Quantised, product, quantise
from digits.files import replacing

MODEL = Path("models/mlp.safetensors")
WRITTEN = "a network that train wrote"
FORWARD_BITS = 6  # of weights and of what they are multiplied with: they fit int8
IMAGE_BITS = 8  # of images, as they have no more; networks of `fast` answer 1 % more wrongly with 6


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
                drawn = torch.rand(parameter.shape, generator=generator) * 2 - 1
                parameter.data.copy_(drawn * (1 / sqrt(inputs)))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (rows, classes), of images, shape (rows, pixels).

        What a layer multiplies is rounded, line by line, to a few bits and a sign.
        """
        first, *others = self.layers
        values = _apply(first, quantise(images, IMAGE_BITS, dim=1))
        for layer in others:
            values = _apply(layer, quantise(values.relu_(), FORWARD_BITS, dim=1))
        return values


def _apply(layer: nn.Module, rows: Quantised) -> Tensor:
    """Return what a linear layer makes of values, shape (rows, inputs): (rows, outputs)."""
    weights, bias = layer.parameters()
    return product(rows, quantise(weights, FORWARD_BITS, dim=1).T).add_(bias)


class Ensemble(nn.Module):
    """Networks of the same widths that answer together: their logits are averaged.

    That is a logarithmic opinion pool of equal weights (Hinton 1999, "Products of experts"). One
    network alone is an ensemble too.

    Attributes:
        widths: of each network.
        networks: at least one.
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
    remaining = iter(terms)
    total, count = next(remaining), 1
    for term in remaining:
        total, count = total + term, count + 1
    return exact.over(total, count)


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
    """Read networks that `save_model` wrote.

    No network is made before the names, shapes and types in the file are known to be one's.

    Raises:
        InputError: there is no such file, or it does not hold exactly the weights of networks from
            that many pixels to that many classes, all of them finite.
    """
    damaged = (SafetensorError, TypeError, KeyError, ValueError, RecursionError)
    with expecting(path, WRITTEN, *damaged), safe_open(path, framework="pt") as file:
        widths, networks = _read_architecture(file)
        model = Ensemble([MLP(widths) for _ in range(networks)])
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


def _read_architecture(file: safe_open) -> tuple[list[int], int]:
    """Return the widths and the number of networks that `file` names.

    Raises:
        ValueError: they are none, or the file does not hold just such tensors.
    """
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    found = {name: (tensor.get_dtype(), tensor.get_shape()) for name, tensor in slices.items()}
    architecture = json.loads((file.metadata() or {})["architecture"])
    widths, networks = architecture["widths"], architecture["networks"]
    _check_architecture(widths, networks, len(found))
    expected = {}
    numbered = list(enumerate(pairwise(widths)))
    for network, (number, (inputs, outputs)) in itertools.product(range(networks), numbered):
        layer = f"networks.{network}.layers.{number}"
        expected[f"{layer}.weight"] = ("F32", [outputs, inputs])
        expected[f"{layer}.bias"] = ("F32", [outputs])
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise ValueError(f"{shorten(name)} is {found.get(name)}, and not {expected.get(name)}")
    return widths, networks


def _check_architecture(widths: object, networks: object, tensors: int) -> None:
    """Raise ValueError unless these are widths, and a number of networks for so many tensors."""
    whole = [width for width in widths if type(width) is int] if isinstance(widths, list) else []
    if whole != widths or len(whole) < 2 or min(whole) < 1:
        raise ValueError(f"widths = {shorten(widths)}")
    if type(networks) is not int or networks < 1:
        raise ValueError(f"networks = {shorten(networks)}")
    if networks * 2 * (len(whole) - 1) != tensors:
        raise ValueError(f"{tensors} tensors for {networks} x {len(whole) - 1} layers")
