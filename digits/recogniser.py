"""A recogniser: networks and all that it takes to answer images, in one small file.

The file is safetensors. Of each layer there are `weight`, int8, shape (outputs, inputs), whole
numbers from -64 to 64, `unit`, float32, (outputs,), the power of two that those of an output are
multiples of, and `bias`, float32, (outputs,); there are the tensors of `Novelty`; and in the
metadata there is a `Description` as JSON.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from safetensors.numpy import save

from digits.data.tensors import Statistics
from digits.errors import InputError, expecting
from digits.exact import DIGIT, PLACES, SMALLEST, Quantised, softmax
from digits.network.inference import infer
from digits.network.model import FORWARD_BITS, MLP, Architecture, Tensors, opened, take
from digits.novelty import Novelty
from digits.params import Names, Predict
from digits.pictures.framing import Place, find_digits
from digits.pictures.reading import Picture, name_picture

RECOGNISER = Path("models/digits.safetensors")
WRITTEN = "what evaluate writes, models/digits.safetensors"
ARRAY = "an image, (height, width) or (height, width, 3), or a batch of the network's own size"


class Description(Architecture):
    """What a recogniser is, besides its weights."""

    recipe: str  # "own" where the params are of none
    classes: Annotated[Names, Field(min_length=2)]
    statistics: Statistics  # what images are normalised with
    views: Predict
    temperature: Annotated[
        float, Field(ge=1e-4, le=1e4)
    ]  # to divide logits by, if probabilities are to fit


@dataclass(frozen=True)
class Prediction:
    """What a recogniser makes of an image.

    `label` is the name of the likeliest class, `probabilities` are of each class, and calibrated;
    `is_familiar` tells whether it looks like the images that the network was trained on. `place` is
    left, top, width and height of the digit in its picture, in pixels.
    """

    label: str
    probabilities: dict[str, float]
    is_familiar: bool
    place: Place


@dataclass(frozen=True)
class Recogniser:
    """Networks that answer images as they came."""

    networks: Sequence[MLP[NDArray[Any]]]
    description: Description
    novelty: Novelty
    path: Path = RECOGNISER

    @classmethod
    def load(cls, path: str | Path = RECOGNISER) -> "Recogniser":
        """Read what `encode` returned; InputError where it is not just that."""
        with opened(Path(path), WRITTEN, "description", Description) as (description, tensors):
            networks = [
                MLP([_take_layer(tensors, *layer) for layer in named])
                for named in description.named()
            ]
            widths, shape = description.widths, (len(description.classes), description.widths[0])
            if (widths[-1], description.statistics.pixels) != shape:
                raise ValueError("widths that are not those of pixels and classes")
            mean = take(tensors, "novelty.mean", *shape, kind=np.uint8)
            precision = take(tensors, "novelty.precision", *shape, kind=np.uint16)
            [limit] = take(tensors, "novelty.limit", 1, kind=np.int64).tolist()
        return cls(networks, description, Novelty(mean, precision, limit), Path(path))

    @overload
    def predict(self, images: Picture) -> Prediction: ...
    @overload
    def predict(self, images: list[Any] | tuple[Any, ...]) -> list[Prediction]: ...
    @overload
    def predict(self, images: NDArray[Any]) -> Prediction | list[Prediction]: ...
    def predict(
        self, images: Picture | list[Any] | tuple[Any, ...] | NDArray[Any]
    ) -> Prediction | list[Prediction]:
        """Return what it makes of an image, or of each of a batch.

        An image is a path, a picture file's bytes or a Pillow image, with one digit that is found,
        and framed as those of the training were, or an array of the network's own size, (side,
        side) or (pixels,), taken as it is, light ink on 0; of another size, it is a picture. A
        batch is a list, or an array with one dimension more. `InputError` where there is no digit,
        or several.
        """
        if isinstance(images, (list, tuple)):
            return [self.predict(image) for image in images]
        side, pixels = self.description.statistics.side, self.description.statistics.pixels
        if isinstance(images, (str, Path, bytes, Image.Image)):
            picture: Picture = images
        else:
            images = np.asarray(images)
            is_one = images.shape in ((side, side), (pixels,))
            if is_one or images.shape[1:] in ((side, side), (pixels,)):
                lines = as_bytes(images).reshape(-1, pixels)
                places = len(lines) * [(0, 0, side, side)]
                found = self._describe(lines, self.probabilities(lines), places)
                return found[0] if is_one else found
            with expecting(Path("array"), ARRAY, TypeError, ValueError, IndexError):
                if 0 in images.shape:
                    raise ValueError(f"shape {images.shape}")
                picture = Image.fromarray(as_bytes(images))
        first, *others = self.read(picture)
        if others:
            told = f"{name_picture(picture)}: {1 + len(others)} digits"
            raise InputError(f"{told}; expected one, or read() for several")
        return first

    def read(self, picture: Picture, *, sheet: bool = False) -> list[Prediction]:
        """Return what it makes of the digits in a picture, in reading order.

        There is one, unless several of about one size lie clearly apart; on a `sheet`, whatever is
        large and does not touch is one. `InputError` where it is no picture, or a blank one.
        """
        digits = find_digits(picture, self.description.statistics.side, sheet=sheet)
        means = [self.probabilities(digit.views).mean(axis=0) for digit in digits]
        places = [digit.place for digit in digits]
        first = np.stack([digit.views[0] for digit in digits])
        return self._describe(first, np.stack(means), places)

    def _describe(
        self, pixels: NDArray[Any], probabilities: NDArray[Any], places: Iterable[Place]
    ) -> list[Prediction]:
        names, upright = self.description.classes, self.description.statistics.upright(pixels)
        shown, familiar = np.round(probabilities, PLACES), self.novelty.is_familiar(upright)
        told = zip(probabilities, shown.tolist(), familiar.tolist(), places, strict=True)
        return [
            Prediction(names[one.argmax()], dict(zip(names, shares, strict=True)), *rest)
            for one, shares, *rest in told
        ]

    def answer(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return logits, shape (rows, classes), of images of light ink on 0, (rows, pixels)."""
        lines, statistics = as_bytes(pixels), self.description.statistics
        if lines.shape[1:] != (statistics.pixels,):
            told = f"array: shape {lines.shape}"
            raise InputError(f"{told}; expected (rows, {statistics.pixels})")
        images = statistics.normalise(lines)
        return infer(self.networks, images, self.description.views, self.path)

    def probabilities(self, pixels: NDArray[Any]) -> NDArray[np.float64]:
        """Return the calibrated probabilities of what `answer` takes, (rows, classes)."""
        return self.calibrate(self.answer(pixels))

    def calibrate(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return logits, (rows, classes), as calibrated probabilities."""
        shares: NDArray[np.float64] = softmax(
            logits.astype(np.float64) / self.description.temperature
        )
        return shares

    def first(self, networks: int) -> "Recogniser":
        """Return the first networks alone."""
        description = self.description.model_copy(update={"networks": networks})
        return replace(self, networks=self.networks[:networks], description=description)

    def encode(self) -> bytes:
        """Return the content of its file, the same bytes each time."""
        tensors: Tensors = {
            "novelty.mean": self.novelty.mean,
            "novelty.precision": self.novelty.precision,
            "novelty.limit": np.array([self.novelty.limit]),
        }
        for network, named in zip(self.networks, self.description.named(), strict=True):
            for (weights, bias), (name, *_) in zip(network.layers, named, strict=True):
                rows = weights.T
                parts = {"weight": rows.digits[:, 0], "unit": rows.unit[:, 0], "bias": bias}
                tensors |= {f"{name}.{part}": values for part, values in parts.items()}
        content = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
        return save(content, {"description": self.description.model_dump_json()})


def as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels from 0 to 255, or shares of 255 if none is above 1, as bytes.

    InputError where they are others.
    """
    if values.dtype == np.uint8:
        return values  # where 1 is 1 of 255
    is_number = values.dtype.kind in "biuf" and values.size
    if is_number and values.min() >= 0 and values.max() <= 255:  # which NaN is not
        is_share = values.max() < 1 + 1e-3
        return np.rint(values * 255.0 if is_share else values).astype(np.uint8)
    told = f"{values.dtype} of shape {values.shape}"
    told += f", from {values.min():g} to {values.max():g}" if is_number else ""
    raise InputError(f"array: {told}; expected pixels from 0 to 255, or from 0 to 1")


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
