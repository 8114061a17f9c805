"""Stochastic gradient descent on a network, batch by batch, epoch by epoch."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import isfinite, pi
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from digits.augmentation import augment
from digits.backpropagation import backpropagate
from digits.errors import InputError
from digits.inference import SMALLER, infer
from digits.model import MLP
from digits.params import Train
from digits.regularisation import RegularisedMLP, fold

CPU = torch.device("cpu")


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

    def joined(self, other: Self) -> Self:
        """Return these rows and then those of `other`, in memory."""
        images = torch.cat([self.images, other.images])
        return replace(self, images=images, labels=torch.cat([self.labels, other.labels]))


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
        model: the network, as it is trained.
        parameters: its weights and biases, and those of its norms, as it lists them.
        momentum: the running sum of the gradients of each parameter, in its shape.
        averages: of all that the network holds, over the steps; empty without `averaging`.
        generator: draws whatever is random, the order of the rows first of all.
        history: the epochs so far.
    """

    model: MLP
    parameters: list[Tensor]
    momentum: list[Tensor]
    averages: list[Tensor]
    generator: torch.Generator
    history: list[Epoch]


def learning_rate(step: int, steps: int, params: Train) -> float:
    """Return the learning rate of `step`, from 0, of `steps`.

    It rises in a straight line to `lr` over the share `warm_up` of the steps. From there one_cycle
    falls in a straight line to nearly 0: the 1cycle policy of Smith and Topin (2017, "Super-
    convergence"), without its cycle of momentum. cosine falls in half a wave: Loshchilov and Hutter
    (2017, "SGDR", section 3), without restarts. No step has a rate of 0.
    """
    if params.schedule == "constant":
        return params.lr
    peak = params.warm_up * steps
    if step + 1 < peak:
        return params.lr * ((step + 1) / peak)
    left = min((steps - step) / (steps - peak), 1)
    if params.schedule == "cosine":
        # torch's, which comes with it; the C library's is another on other systems.
        left = (1 - torch.tensor(pi * left, dtype=torch.float64).cos().item()) / 2
    return params.lr * left


def begin(pixels: int, classes: int, params: Train, device: torch.device = CPU) -> TrainingState:
    """Return the state before the first epoch of a network from `pixels` to `classes`."""
    widths = [pixels, *params.widths, classes]
    generator = torch.Generator().manual_seed(params.seed)
    model = MLP(widths)
    if any((params.batch_norm, params.dropout, params.input_noise, params.hidden_noise)):
        model = RegularisedMLP(
            widths,
            generator,
            batch_norm=params.batch_norm,
            dropout=params.dropout,
            input_noise=params.input_noise,
            hidden_noise=params.hidden_noise,
        )
    model.reset(generator)
    model.to(device)
    parameters: list[Tensor] = list(model.parameters())
    momentum = [torch.zeros_like(parameter) for parameter in parameters]
    averages = [value.clone() for value in _values(model)] if params.averaging else []
    return TrainingState(model, parameters, momentum, averages, generator, history=[])


def _values(model: MLP) -> list[Tensor]:
    """Return all the numbers that make up a network, its norms' statistics among them, shared."""
    return [value for value in model.state_dict().values() if value.is_floating_point()]


def trained(state: TrainingState) -> MLP:
    """Return the plain network that training has come to: its averages, if there are any."""
    if not state.averages:
        return fold(state.model)
    model = deepcopy(state.model)
    for value, average in zip(_values(model), state.averages, strict=True):
        value.copy_(average)
    return fold(model)


def fit(
    state: TrainingState, training: Labelled, validation: Labelled, params: Train
) -> Iterator[Epoch]:
    """Fit the network to the training rows, from `state` on, and yield each epoch as it ends.

    Each epoch takes the rows in a new order, in batches; the last batch has what is left. The rows
    and the network lie on one device; what is random is drawn on the CPU in any case.

    Raises:
        InputError: loss or answers are no longer finite, or a batch of one row is to be normalised.
    """
    _check_batches(len(training.labels), params)
    for epoch in range(len(state.history) + 1, params.epochs + 1):
        training_loss = _descend_once(state, training, epoch, params)
        state.history.append(Epoch(epoch, training_loss, *validate(trained(state), validation)))
        yield state.history[-1]


def _check_batches(rows: int, params: Train) -> None:
    alone = params.batch_size == 1 or rows % params.batch_size == 1
    if params.batch_norm and params.widths and alone:
        raise InputError(
            f"params.yaml: train.batch_size = {params.batch_size}: a batch of 1 of {rows} rows, "
            "which has no deviation; expected another size, or train.batch_norm = false"
        )


def _descend_once(state: TrainingState, training: Labelled, epoch: int, params: Train) -> float:
    """Take the steps of an epoch, counted from 1; return the mean loss of its rows."""
    rows = len(training.labels)
    order = torch.randperm(rows, generator=state.generator).to(training.labels.device)
    batches = order.split(params.batch_size)
    done, steps = (epoch - 1) * len(batches), params.epochs * len(batches)
    rates = [learning_rate(done + step, steps, params) for step in range(len(batches))]
    losses = []
    shown = tqdm(batches, f"epoch {epoch}", unit=" batches", leave=False, disable=None)
    for step, batch in enumerate(shown):
        losses.append(take_step(state, rates[step], training, batch, params))
        average(state, done + step, params.averaging)
    total = 0.0
    # Looked at when the epoch is over: a GPU would be waited for at each step.
    for step, loss in enumerate(torch.stack(losses).tolist()):
        if not isfinite(loss):
            told = f"{loss} in epoch {epoch}, step {step + 1}, at a rate of {rates[step]:g}"
            raise InputError(f"params.yaml: train.lr: the loss is {told}; expected {SMALLER}")
        total += loss * len(batches[step])
    return total / rows


def take_step(
    state: TrainingState, rate: float, training: Labelled, batch: Tensor, params: Train
) -> Tensor:
    """Take one step down the gradient of the mean loss of the rows `batch`; return that loss."""
    images = training.images.index_select(0, batch)
    labels = training.labels.index_select(0, batch)
    if params.augment.distorts:
        images = augment(images, params.augment, state.generator)
    loss, gradients = differentiate(state, images, labels, params)
    descend(state, gradients, rate, params)
    return loss


def differentiate(
    state: TrainingState, images: Tensor, labels: Tensor, params: Train
) -> tuple[Tensor, list[Tensor]]:
    """Return the mean loss of a batch, and its gradient by each parameter.

    With bfloat16, what matrix products take and give is rounded to it, while the parameters, the
    loss and the step stay in float32: mixed precision (Kalamkar et al. 2019, "A study of BFLOAT16
    for deep learning training").
    """
    rounded = params.precision == "bfloat16"
    if not (rounded or isinstance(state.model, RegularisedMLP)):
        return backpropagate(state.parameters, images, labels, params.label_smoothing)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=rounded):
        logits = state.model(images)
    loss = functional.cross_entropy(logits.float(), labels, label_smoothing=params.label_smoothing)
    return loss.detach(), list(torch.autograd.grad(loss, state.parameters))


@torch.inference_mode()
def descend(state: TrainingState, gradients: list[Tensor], rate: float, params: Train) -> None:
    """Move every parameter against its gradient, with momentum and weight decay."""
    everything = list(zip(state.parameters, gradients, state.momentum, strict=True))
    if params.decayed == "all":
        _move(everything, rate, params.weight_decay, params)
        return
    _move([one for one in everything if one[0].dim() > 1], rate, params.weight_decay, params)
    _move([one for one in everything if one[0].dim() == 1], rate, 0.0, params)


def _move(
    moved: Sequence[tuple[Tensor, Tensor, Tensor]], rate: float, weight_decay: float, params: Train
) -> None:
    """Move parameters against their gradients, which are added to their momentum."""
    parameters, gradients, momentum = (list(column) for column in zip(*moved, strict=True))
    # What torch.optim.SGD comes down to; it imports 800 modules that only compilation needs, and
    # sorts the parameters anew at each step.
    torch._fused_sgd_(
        parameters,
        gradients,
        momentum if params.momentum else [],
        lr=rate,
        momentum=params.momentum,
        weight_decay=weight_decay,
        dampening=0,
        nesterov=params.nesterov,
        maximize=False,
        is_first_step=False,
    )


@torch.inference_mode()
def average(state: TrainingState, step: int, kept: float) -> None:
    """Move the averages, if there are any, towards what the network holds after `step`, from 0.

    An average keeps the share `kept` of what it was, and less in the first steps, so that little is
    left of the network before training (as TensorFlow's ExponentialMovingAverage does it).
    """
    if state.averages:
        taken = max(1 - kept, 9 / (step + 10))
        torch._foreach_lerp_(state.averages, _values(state.model), taken)


def validate(model: MLP, validation: Labelled) -> tuple[float, float]:
    """Return mean negative log-likelihood, in nats, and accuracy, 0 to 1; raise as `infer` does."""
    logits = infer(model, validation.images)
    loss = functional.cross_entropy(logits.double(), validation.labels)
    right = logits.argmax(dim=1) == validation.labels
    return loss.item(), right.sum().item() / len(right)
