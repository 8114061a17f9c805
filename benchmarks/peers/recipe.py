"""The notebook's recipe, and what PyTorch's three users make of it alike."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

VALIDATION = 7000
WIDTHS = (784, 200, 200, 200, 10)
EPOCHS, BATCH = 5, 64
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 0.001

Rows = tuple[np.ndarray, np.ndarray]  # images, float32, (rows, pixels), and labels, int64, (rows,)
# What is timed, and what then returns the classes of images.
Prepared = tuple[Callable[[], object], Callable[[np.ndarray], np.ndarray]]


def network() -> nn.Sequential:
    """Return the notebook's network, without its softmax."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(WIDTHS):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def dataset(*rows: np.ndarray) -> TensorDataset:
    """Return images, and labels if there are any, as tensors."""
    return TensorDataset(*map(torch.from_numpy, rows))


def optimiser_of(model: nn.Module) -> torch.optim.SGD:
    """Return plain SGD with momentum and weight decay."""
    return torch.optim.SGD(
        model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
