"""Inference: what a network answers, block by block, and averaged over small shifts of an image."""

from collections.abc import Iterator
from itertools import product
from math import isqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from digits.model import mean
from digits.tensors import BLOCK


def infer(model: nn.Module, images: Tensor, shift: int = 0) -> Tensor:
    """Return logits, shape (rows, classes), computed block by block, which bounds memory.

    Args:
        model: answers images, shape (rows, pixels), with logits.
        images: shape (rows, pixels), normalised.
        shift: pixels, 0 or more. The logits are averaged over each image as it is and shifted by up
            to so many pixels along each axis.
    """
    with torch.inference_mode():
        blocks = images.split(BLOCK)
        return torch.cat([mean(map(model, shifted(block, shift))) for block in blocks])


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
    wide = logits.double()
    return wide.softmax(dim=1).numpy(), wide.log_softmax(dim=1).numpy()
