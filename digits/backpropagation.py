"""Backpropagation: the gradient of the loss by every parameter, from the logits back to the pixels.

The method is that of Rumelhart, Hinton and Williams (1986, "Learning representations by back-
propagating errors"). The gradients are autograd's to the last bit; without its graph, a small batch
takes about two thirds of the time.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from digits.model import activations


@torch.inference_mode()
def backpropagate(
    parameters: Sequence[Tensor], images: Tensor, labels: Tensor, label_smoothing: float
) -> tuple[Tensor, list[Tensor]]:
    """Return the mean loss of a batch, and its gradient by each parameter.

    Args:
        parameters: of the network: the weights and the bias of each layer in turn.
        images: shape (rows, pixels), normalised.
        labels: shape (rows,), int64.
        label_smoothing: the share of each label that is spread over all classes, from 0 to 1.

    Returns:
        The cross-entropy, in nats, a scalar; and the gradients, each in its parameter's shape.
    """
    *inputs, logits = activations(parameters, images)
    loss, errors = loss_and_gradient(logits, labels, label_smoothing)
    gradients = [errors.sum(dim=0), errors.T @ inputs[-1]]
    for layer in reversed(range(len(inputs) - 1)):
        # Where the ReLU before the next layer gave 0, nothing passes.
        by_inputs = errors @ parameters[2 * layer + 2]
        errors = torch.ops.aten.threshold_backward(by_inputs, inputs[layer + 1], 0)
        gradients += [errors.sum(dim=0), errors.T @ inputs[layer]]
    return loss, gradients[::-1]


def loss_and_gradient(
    logits: Tensor, labels: Tensor, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy and its gradient by the logits, shape (rows, classes)."""
    logarithms = logits.log_softmax(dim=1)
    slopes = _slopes(*logits.shape, label_smoothing, logits.dtype, logits.device)
    by_logarithms = slopes.index_select(0, labels)
    gradient: Tensor = torch.ops.aten._log_softmax_backward_data(  # noqa: SLF001
        by_logarithms, logarithms, 1, logits.dtype
    )
    # The loss is a sum of the logarithms, each times its slope.
    return (by_logarithms * logarithms).sum(), gradient


@lru_cache(maxsize=2)  # for a whole batch, and for the last one
def _slopes(
    rows: int, classes: int, label_smoothing: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return, for each label, the gradient of the loss of `rows` rows by the log-probabilities."""
    hit = torch.eye(classes, dtype=dtype, device=device) * (label_smoothing - 1)
    spread = torch.full_like(hit, label_smoothing / classes)
    return hit / rows - spread / rows
