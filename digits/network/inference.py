"""Inference: what networks answer, averaged over them and over views of an image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import InputError
from digits.exact import Array, namespace
from digits.network.model import MLP, mean
from digits.network.views import views
from digits.params import Predict

BLOCK = 1024  # rows, which bounds memory, and whose views a cache holds
SMALLER = "a smaller train.lr, or else a smaller train.weight_decay"


def infer(
    networks: Sequence[MLP[NDArray[Any]]],
    images: NDArray[np.float32],
    params: Predict | None = None,
    path: Path | None = None,
) -> NDArray[np.float32]:
    """Return logits, shape (rows, classes), of normalised images, shape (rows, pixels).

    They are averaged over the networks: a logarithmic opinion pool of equal weights (Hinton 1999,
    "Products of experts"); and over the views of each image, where params say which.
    """
    answers = []
    with np.errstate(all="ignore"):  # what is not finite is told below
        for block in np.split(images, range(BLOCK, len(images), BLOCK)):
            seen = views(block, params) if params else [block]
            answers.append(mean(mean(one.answer(view) for one in networks) for view in seen))
    return finite(np.concatenate(answers), path)


def finite(logits: Array, path: Path | None = None) -> Array:
    """Return logits; where one is not finite, raise an InputError that names their file, if any."""
    if not namespace(logits).isfinite(logits).all():
        where, expected = (path, "a whole network") if path else ("params.yaml: train.lr", SMALLER)
        raise InputError(f"{where}: the network's answers are not finite; expected {expected}")
    return logits
