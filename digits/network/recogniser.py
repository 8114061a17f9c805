"""A recogniser: networks and all that it takes to answer images, in one small file.

It is safetensors. Of each layer there are `weight`, int8, shape (outputs, inputs), whole numbers
from -64 to 64, `unit`, float32, (outputs,), the power of two that those of an output are multiples
of, and `bias`, float32, (outputs,); in the metadata there is a `Description` as JSON.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import save

from digits.data.tensors import Statistics
from digits.exact import DIGIT, SMALLEST, Quantised
from digits.network.inference import BLOCK, infer
from digits.network.model import FORWARD_BITS, MLP, Architecture, Tensors, opened, take
from digits.params import Names, Predict

RECOGNISER = Path("models/digits.safetensors")
WRITTEN = "a recogniser that report wrote"


class Description(Architecture):
    """What a recogniser is, besides its weights."""

    recipe: str  # "own" where the params are of none
    classes: Annotated[Names, Field(min_length=2)]
    statistics: Statistics  # what images are normalised with
    views: Predict
    temperature: Annotated[float, Field(gt=0)]  # to divide logits by, if probabilities are to fit


@dataclass(frozen=True)
class Recogniser:
    """Networks that answer images as they came."""

    networks: Sequence[MLP[NDArray[Any]]]
    description: Description
    path: Path = RECOGNISER

    def answer(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits, shape (rows, classes), of images of light ink on 0, (rows, pixels)."""
        normalise, views = self.description.statistics.normalise, self.description.views
        blocks = np.split(pixels, range(BLOCK, len(pixels), BLOCK))
        answers = [infer(self.networks, normalise(block), views, self.path) for block in blocks]
        return np.concatenate(answers)

    def first(self, networks: int) -> "Recogniser":
        """Return the first networks alone."""
        description = self.description.model_copy(update={"networks": networks})
        return replace(self, networks=self.networks[:networks], description=description)

    def encode(self) -> bytes:
        """Return the content of its file, the same bytes each time."""
        tensors: Tensors = {}
        for network, named in zip(self.networks, self.description.named(), strict=True):
            for (weights, bias), (name, *_) in zip(network.layers, named, strict=True):
                rows = weights.T
                parts = {"weight": rows.digits[:, 0], "unit": rows.unit[:, 0], "bias": bias}
                tensors |= {f"{name}.{part}": values for part, values in parts.items()}
        content = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
        return save(content, {"description": self.description.model_dump_json()})


def load_recogniser(path: Path = RECOGNISER) -> Recogniser:
    """Read what `Recogniser.encode` returned; InputError where it is not just that."""
    with opened(path, WRITTEN, "description", Description) as (description, tensors):
        networks = [
            MLP([_take_layer(tensors, *layer) for layer in named]) for named in description.named()
        ]
        widths = description.widths
        if (widths[0], widths[-1]) != (description.statistics.pixels, len(description.classes)):
            raise ValueError("widths that are not those of pixels and classes")
    return Recogniser(networks, description, path)


def _take_layer(
    tensors: Tensors, name: str, inputs: int, outputs: int
) -> tuple[Quantised[NDArray[Any]], NDArray[np.float32]]:
    whole = take(tensors, f"{name}.weight", outputs, inputs, kind=np.int8)
    unit, bias = (take(tensors, f"{name}.{part}", outputs) for part in ("unit", "bias"))
    is_power = (np.frexp(unit)[0] == 0.5) & (unit >= SMALLEST * 2**-DIGIT) & (unit <= 1 / SMALLEST)
    if np.abs(whole.astype(np.int16)).max() > 2**DIGIT or not is_power.all():
        raise ValueError("weights that are no small whole numbers times powers of two")
    power = unit[:, None] * 2.0 ** (FORWARD_BITS - 1)
    return Quantised(whole * unit[:, None], power, FORWARD_BITS).T, bias
