"""Stochastic gradient descent on a network, batch by batch, epoch by epoch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from digits.backpropagation import backpropagate
from digits.errors import InputError
from digits.model import MLP, infer
from digits.params import Train

CPU = torch.device("cpu")
WARM_UP = 0.2


@dataclass(frozen=True)
class Labelled:
    """Images and their labels, in memory or mapped.

    Attributes:
        images: shape (rows, pixels), float32, normalised.
        labels: shape (rows,), int64.
    """

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Self:
        """Return the same rows on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        epoch: counted from 1.
        training_loss: mean loss of the epoch's rows, each before the step that it was part of, with
            label smoothing where there is any.
        validation_loss: mean negative log-likelihood after the epoch, in nats.
        validation_accuracy: share of right validation rows after the epoch, from 0 to 1.
    """

    epoch: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class TrainingState:
    """What an epoch changes, in place: all that the next one depends on, besides data and params.

    Attributes:
        model: the network.
        parameters: its weights and biases, as it lists them.
        momentum: the running sum of the gradients of each parameter, in its shape.
        generator: draws the order of the rows.
        history: the epochs so far.
    """

    model: MLP
    parameters: list[Tensor]
    momentum: list[Tensor]
    generator: torch.Generator
    history: list[Epoch]


def learning_rate(step: int, steps: int, params: Train) -> float:
    """Return the learning rate of `step`, from 0, of `steps`.

    one_cycle rises in a straight line to `lr` over the first fifth of the steps, and falls in a
    straight line to nearly 0 at the end: the 1cycle policy of Smith and Topin (2017, "Super-
    convergence"), without its cycle of momentum. No step has a rate of 0.
    """
    if params.schedule == "constant":
        return params.lr
    peak = WARM_UP * steps
    return params.lr * min((step + 1) / peak, (steps - step) / (steps - peak), 1)


def begin(widths: Sequence[int], params: Train, device: torch.device = CPU) -> TrainingState:
    """Return the state before the first epoch of a network with those `widths` on a device."""
    generator = torch.Generator().manual_seed(params.seed)
    model = MLP(widths)
    model.reset(generator)
    model.to(device)
    parameters: list[Tensor] = list(model.parameters())
    momentum = [torch.zeros_like(parameter) for parameter in parameters]
    return TrainingState(model, parameters, momentum, generator, history=[])


def fit(
    state: TrainingState, training: Labelled, validation: Labelled, params: Train
) -> Iterator[Epoch]:
    """Fit the network to the training rows, from `state` on, and yield each epoch as it ends.

    Each epoch takes the rows in a new order, in batches; the last batch has what is left. The rows
    and the network lie on one device; what is random is drawn on the CPU in any case.

    Raises:
        InputError: the loss is no longer finite.
    """
    for epoch in range(len(state.history) + 1, params.epochs + 1):
        training_loss = _descend_once(state, training, epoch, params)
        validation_loss, accuracy = validate(state.model, validation)
        _check_finite(validation_loss, f"epoch {epoch}, validation")
        state.history.append(Epoch(epoch, training_loss, validation_loss, accuracy))
        yield state.history[-1]


def _descend_once(state: TrainingState, training: Labelled, epoch: int, params: Train) -> float:
    """Take the steps of an epoch, counted from 1; return the mean loss of its rows."""
    rows = len(training.labels)
    order = torch.randperm(rows, generator=state.generator).to(training.labels.device)
    batches = order.split(params.batch_size)
    done, steps = (epoch - 1) * len(batches), params.epochs * len(batches)
    rates = [learning_rate(done + step, steps, params) for step in range(len(batches))]
    losses = [
        take_step(state, rate, training, batch, params)
        for rate, batch in zip(rates, _shown(batches, epoch), strict=True)
    ]
    total = 0.0
    # Looked at when the epoch is over: a GPU would be waited for at each step.
    for step, loss in enumerate(torch.stack(losses).tolist()):
        _check_finite(loss, f"epoch {epoch}, step {step + 1}, at a rate of {rates[step]:g}")
        total += loss * len(batches[step])
    return total / rows


def _shown(batches: Sequence[Tensor], epoch: int) -> Iterable[Tensor]:
    """Show a progress bar over the batches, on a terminal only."""
    return tqdm(batches, f"epoch {epoch}", unit=" batches", leave=False, disable=None)


def take_step(
    state: TrainingState, rate: float, training: Labelled, batch: Tensor, params: Train
) -> Tensor:
    """Take one step down the gradient of the mean loss of the rows `batch`; return that loss."""
    images = training.images.index_select(0, batch)
    labels = training.labels.index_select(0, batch)
    loss, gradients = backpropagate(state.parameters, images, labels, params.label_smoothing)
    descend(state, gradients, rate, params)
    return loss


@torch.inference_mode()
def descend(state: TrainingState, gradients: list[Tensor], rate: float, params: Train) -> None:
    """Move every parameter against its gradient, with momentum and weight decay."""
    # What torch.optim.SGD comes down to; it imports 800 modules that only compilation needs, and
    # sorts the parameters anew at each step.
    torch._fused_sgd_(
        state.parameters,
        gradients,
        state.momentum if params.momentum else [],
        lr=rate,
        momentum=params.momentum,
        weight_decay=params.weight_decay,
        dampening=0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )


def _check_finite(loss: float, where: str) -> None:
    if not isfinite(loss):
        raise InputError(
            f"params.yaml: train.lr: the loss is {loss} in {where}; "
            "expected a smaller train.lr, or else a smaller train.weight_decay"
        )


def validate(model: MLP, validation: Labelled) -> tuple[float, float]:
    """Return mean negative log-likelihood, in nats, and accuracy, from 0 to 1."""
    logits = infer(model, validation.images)
    loss = functional.cross_entropy(logits.double(), validation.labels)
    right = logits.argmax(dim=1) == validation.labels
    return loss.item(), right.sum().item() / len(right)
