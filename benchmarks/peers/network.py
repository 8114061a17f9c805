"""What both users of PyTorch have in common: network, data and optimiser."""

from itertools import pairwise

import numpy as np
import torch
from peers import BATCH, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, WIDTHS, Rows
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def new_network() -> nn.Sequential:
    """Return the notebook's network, without its softmax."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(WIDTHS):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def dataset(*rows: np.ndarray) -> TensorDataset:
    """Return images, and labels if there are any, as tensors."""
    return TensorDataset(*map(torch.from_numpy, rows))


def loaders(training: Rows, validation: Rows) -> tuple[DataLoader, DataLoader]:
    """Return the batches of both."""
    batches = DataLoader(dataset(*training), batch_size=BATCH, shuffle=True)
    return batches, DataLoader(dataset(*validation), batch_size=2 * BATCH)


def optimiser_of(model: nn.Module) -> torch.optim.SGD:
    """Return plain SGD with momentum and weight decay."""
    return torch.optim.SGD(
        model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
