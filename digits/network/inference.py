"""Inference: what a network answers, block by block, and averaged over views of an image."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from digits import exact
from digits.errors import InputError
from digits.network.model import WRITTEN, mean
from digits.network.views import views
from digits.params import Predict

BLOCK = 1024  # rows, which bounds memory, and whose views a cache holds
SMALLER = "a smaller train.lr, or else a smaller train.weight_decay"


def infer(
    model: nn.Module, images: Tensor, params: Predict | None = None, path: Path | None = None
) -> Tensor:
    """Return logits, shape (rows, classes), of normalised images, shape (rows, pixels).

    They are averaged over the views of each image, where params say which.
    Where one is not finite, an InputError names the file that the model is from, or the params.
    """
    with torch.inference_mode():
        blocks = images.split(BLOCK)
        shown = (views(block, params) if params else [block] for block in blocks)
        logits = torch.cat([mean(map(model, seen)) for seen in shown])
    if not logits.isfinite().all():
        where, expected = (path, WRITTEN) if path else ("params.yaml: train.lr", SMALLER)
        raise InputError(f"{where}: the network's answers are not finite; expected {expected}")
    return logits


def probabilities(logits: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return probabilities and their logarithms, both of the shape of `logits`, in float64."""
    return exact.softmax(logits).numpy(), exact.log_softmax(logits).numpy()
