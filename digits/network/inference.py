"""Inference: what a network answers, block by block, and averaged over small shifts of an image."""

from collections.abc import Iterator
from itertools import product
from math import isqrt
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from digits import exact
from digits.data.tensors import BLOCK
from digits.errors import InputError
from digits.network.model import WRITTEN, mean

SMALLER = "a smaller train.lr, or else a smaller train.weight_decay"


def infer(model: nn.Module, images: Tensor, shift: int = 0, path: Path | None = None) -> Tensor:
    """Return logits, shape (rows, classes), of normalised images, shape (rows, pixels).

    They are averaged over each image as it is and shifted by up to `shift` pixels along each axis.
    Where one is not finite, an InputError names the file that the model is from, or the params.
    """
    with torch.inference_mode():
        blocks = images.split(BLOCK)  # which bounds memory
        logits = torch.cat([mean(map(model, shifted(block, shift))) for block in blocks])
    if not logits.isfinite().all():
        where, expected = (path, WRITTEN) if path else ("params.yaml: train.lr", SMALLER)
        raise InputError(f"{where}: the network's answers are not finite; expected {expected}")
    return logits


def shifted(images: Tensor, shift: int) -> Iterator[Tensor]:
    """Yield images, shape (rows, pixels), shifted in every way by up to `shift` pixels.

    What comes in from outside is as the nearest pixel of the edge.
    """
    if not shift:
        yield images
        return
    side, places = isqrt(images.shape[1]), range(2 * shift + 1)
    padded = functional.pad(images.view(-1, 1, side, side), [shift] * 4, mode="replicate")
    for down, across in product(places, places):
        yield padded[:, 0, down : down + side, across : across + side].reshape(images.shape)


def probabilities(logits: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return probabilities and their logarithms, both of the shape of `logits`, in float64."""
    return exact.softmax(logits).numpy(), exact.log_softmax(logits).numpy()
