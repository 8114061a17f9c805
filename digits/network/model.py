"""The network: a multilayer perceptron, or several as one, and their file of weights."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from pathlib import Path
from typing import Annotated, Any, Generic

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from digits import exact
from digits.errors import InputError, expecting
from digits.exact import Array, Quantised, namespace, product, quantise
from digits.files import replacing
from digits.params import Kind, Section

MODEL = Path("models/mlp.safetensors")
WRITTEN = "a network that train wrote"
FORWARD_BITS = 6  # of weights and of what they are multiplied with: they fit int8
IMAGE_BITS = 8  # of images, as they have no more; networks of `fast` answer 1 % more wrongly with 6

Multiply = Callable[[Quantised[Array], Quantised[Array]], Array]
Tensors = dict[str, NDArray[Any]]
Weights = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]  # as `MLP.of` takes them


@dataclass(frozen=True)
class MLP(Generic[Array]):
    """Linear layers with ReLU between them: weights, shape (inputs, outputs), and bias of each."""

    layers: Sequence[tuple[Quantised[Array], Array]]

    @classmethod
    def of(cls, layers: Iterable[tuple[Array, Array]]) -> "MLP[Array]":
        """Return a network of float32 weights, (outputs, inputs), and biases, (outputs,)."""
        with np.errstate(all="ignore"):  # what is not finite is told of the answers
            return MLP([(quantise(weights, FORWARD_BITS, 1).T, bias) for weights, bias in layers])

    def answer(self, images: Array, multiply: Multiply[Array] = product) -> Array:
        """Return logits, shape (rows, classes), of images, shape (rows, pixels), both float32.

        What a layer multiplies is rounded, line by line, to a few bits and a sign.
        """
        values, bits = images, IMAGE_BITS
        for number, (weights, bias) in enumerate(self.layers):
            if number:
                values, bits = namespace(values).clip(values, 0, None), FORWARD_BITS
            values = multiply(quantise(values, bits, 1), weights)
            values += bias
        return values


def mean(terms: Iterable[Array]) -> Array:
    """Return the mean of at least one array of one shape, added in their order, one at a time."""
    found = list(terms)
    return exact.over(reduce(add, found), len(found))


class Architecture(Section):
    """What networks a file holds: the widths of inputs, hidden layers and classes; how many."""

    widths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=2)]
    networks: Annotated[int, Field(ge=1)]

    def named(self) -> Iterator[list[tuple[str, int, int]]]:
        """Yield of each network the name in a file, the inputs and the outputs of each layer."""
        shapes = list(enumerate(pairwise(self.widths)))
        for number in range(self.networks):
            yield [(f"networks.{number}.layers.{layer}", *shape) for layer, shape in shapes]


def encode(networks: Sequence[Weights]) -> bytes:
    """Return weights and architecture as a safetensors file, the same bytes each time."""
    widths = (networks[0][0][0].shape[1], *(len(bias) for _, bias in networks[0]))
    architecture, tensors = Architecture(widths=widths, networks=len(networks)), {}
    for network, named in zip(networks, architecture.named(), strict=True):
        for (weights, bias), (name, *_) in zip(network, named, strict=True):
            tensors[f"{name}.weight"] = np.ascontiguousarray(weights)
            tensors[f"{name}.bias"] = bias
    # One entry of metadata: safetensors writes several in an order that changes.
    return save(tensors, {"architecture": json.dumps(architecture.model_dump())})


def save_model(networks: Sequence[Weights], path: Path) -> None:
    """Write what `encode` returns."""
    with replacing(path) as temporary:
        temporary.write_bytes(encode(networks))


def load_model(path: Path, pixels: int, classes: int) -> list[Weights]:
    """Read networks that `save_model` wrote; InputError where they are not just such ones."""
    with opened(path, WRITTEN, "architecture", Architecture) as (architecture, tensors):
        networks: list[Weights] = [
            [_take_layer(tensors, *layer) for layer in named] for named in architecture.named()
        ]
    first, *_, last = architecture.widths
    if (first, last) != (pixels, classes):
        told = f"a network from {first} pixels to {last} classes"
        raise InputError(f"{path}: {told}; expected {pixels} to {classes}")
    return networks


def _take_layer(
    tensors: Tensors, name: str, inputs: int, outputs: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return take(tensors, f"{name}.weight", outputs, inputs), take(tensors, f"{name}.bias", outputs)


@contextmanager
def opened(
    path: Path, expected: str, entry: str, kind: type[Kind]
) -> Iterator[tuple[Kind, Tensors]]:
    """Yield what an entry of a safetensors file's metadata says, and its tensors, all to be taken.

    An `InputError` names the file and what is expected, where they are not.
    """
    # A ValidationError is a ValueError; the other is of types that NumPy has not.
    faults = (SafetensorError, KeyError, ValueError, AttributeError)
    # Python's own errors are clearer, of a folder say.
    with expecting(path, expected, *faults), path.open("rb"), safe_open(path, "np") as file:
        said = kind.model_validate_json((file.metadata() or {})[entry])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        yield said, tensors
        if tensors:
            raise ValueError(f"{len(tensors)} tensors too many")


def take(
    tensors: Tensors, name: str, *shape: int, kind: type[np.generic] = np.float32
) -> NDArray[Any]:
    """Take a tensor out; KeyError or ValueError unless it is of that type and shape, and finite."""
    values = tensors.pop(name)
    if values.dtype != kind or values.shape != shape or not np.isfinite(values).all():
        raise ValueError(f"{name}: {values.dtype} of shape {values.shape}, or not finite")
    return values
