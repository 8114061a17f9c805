"""Stochastic gradient descent on a network, batch by batch, epoch by epoch."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from typing import Self

import torch
from torch import Tensor
from tqdm import tqdm

from digits import exact
from digits.errors import InputError
from digits.network.augmentation import augment
from digits.network.backpropagation import Layers, backpropagate, cross_entropy
from digits.network.device import Pace
from digits.network.draws import Draws
from digits.network.graph import Graph
from digits.network.inference import SMALLER, infer
from digits.network.model import MLP
from digits.params import Train

CPU = torch.device("cpu")
BLOCK = 2**18  # numbers
DIGEST = 12  # hexadecimal digits


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

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the rows, in hexadecimal."""
        return digest(self.images, self.labels)


def digest(*tensors: Tensor) -> str:
    """Return the SHA-256 of tensors, of their types and shapes too, in hexadecimal."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().cpu().numpy().data)
    return found.hexdigest()


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        epoch: counted from 1.
        training_loss: mean loss of the epoch's rows, each before the step that it was part of, with
            label smoothing where there is any.
        validation_loss: mean negative log-likelihood after the epoch, in nats.
        validation_accuracy: share of right validation rows after the epoch, from 0 to 1.
        weights_sha256: the beginning of a SHA-256 of all that training carries on.
        draws_sha256: of what was drawn so far: the order of the rows, and the generator's state.
        data_sha256: of the training and the validation rows.
    """

    epoch: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float
    weights_sha256: str
    draws_sha256: str
    data_sha256: str


@dataclass(frozen=True)
class TrainingState:
    """What an epoch changes, in place: all that the next one depends on, besides data and params.

    Attributes:
        widths: of the layers, from pixels to classes.
        values: all numbers of the network: what `Layers` views, float32.
        momentum: the running sum of the gradients, as the next step begins with it, of the
            parameters alone: `values` begins with weights, biases and gains, and running statistics
            are no parameters.
        averages: of `values`, over the steps; empty without `averaging`.
        generator: draws whatever is random, the order of the rows first of all.
        history: the epochs so far.
    """

    widths: tuple[int, ...]
    values: Tensor
    momentum: Tensor
    averages: Tensor
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
        _, cosine = exact.sine_and_cosine(torch.tensor(left / 2, dtype=torch.float64))
        left = (1 - cosine.item()) / 2
    return params.lr * left


def share_averaged(step: int, kept: float) -> float:
    """Return the share of the network after `step`, from 0, that its averages take.

    They keep the share `kept` of what they were, and less in the first steps, so that little is
    left of the network before training (as TensorFlow's ExponentialMovingAverage does it).
    """
    return max(1 - kept, 9 / (step + 10))


def begin(pixels: int, classes: int, params: Train, device: torch.device = CPU) -> TrainingState:
    """Return the state before the first epoch of a network from `pixels` to `classes`."""
    widths = (pixels, *params.widths, classes)
    generator = torch.Generator().manual_seed(params.seed)
    model = MLP(widths)
    model.reset(generator)
    units = sum(params.widths) if params.batch_norm else 0
    parameters = sum(parameter.numel() for parameter in model.parameters()) + units
    values = torch.zeros(parameters + 2 * units)
    network = Layers.of(values, widths)
    for number, layer in enumerate(model.layers):
        weights, bias = layer.parameters()
        network.weights[number].copy_(weights.data.T)
        network.biases[number].copy_(bias.data)
    for ones in (*network.gains, *network.variances):
        ones.fill_(1)
    values = values.to(device)
    averages = values.clone() if params.averaging else values[:0]
    momentum = torch.zeros_like(values[:parameters])
    return TrainingState(widths, values, momentum, averages, generator, history=[])


def trained(state: TrainingState) -> MLP:
    """Return the plain network that training has come to: its averages, if there are any."""
    values = state.averages if len(state.averages) else state.values
    model = MLP(state.widths).to(values.device)
    folded = Layers.of(values, state.widths).fold()
    for layer, found in zip(model.layers, folded, strict=True):
        for parameter, value in zip(layer.parameters(), found, strict=True):
            parameter.data.copy_(value)
    return model


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
    descent = Descent(state, training, params)
    try:
        for number in range(len(state.history) + 1, params.epochs + 1):
            order = torch.randperm(len(training.labels), generator=state.generator)
            loss = descent.run_epoch(number, order)
            found = validate(trained(state), validation)
            digests = _digest_all(state, order, training, validation)
            state.history.append(Epoch(number, loss, *found, *digests))
            yield state.history[-1]
    finally:
        descent.pace.end()


def _check_batches(rows: int, params: Train) -> None:
    alone = params.batch_size == 1 or rows % params.batch_size == 1
    if params.batch_norm and params.widths and alone:
        raise InputError(
            f"params.yaml: train.batch_size = {params.batch_size}: a batch of 1 of {rows} rows, "
            "which has no deviation; expected another size, or train.batch_norm = false"
        )


def _digest_all(state: TrainingState, order: Tensor, *data: Labelled) -> list[str]:
    """Return the beginnings of the SHA-256 of weights, draws and data."""
    before = state.history[-1].draws_sha256 if state.history else ""
    # The sign of a product that is 0 is its kernel's: it reaches running sums, but no weight.
    weights = digest(*(part + 0.0 for part in (state.values, state.momentum, state.averages)))
    draws = before + digest(order, state.generator.get_state())
    parts = (weights, draws, "".join(rows.sha256 for rows in data))
    return [hashlib.sha256(part.encode()).hexdigest()[:DIGEST] for part in parts]


class Descent:
    """The steps down the gradient, each in place, in a training's state."""

    def __init__(self, state: TrainingState, training: Labelled, params: Train) -> None:
        self._state, self._training, self._params = state, training, params
        self._network = Layers.of(state.values, state.widths)
        self._gradient = torch.zeros_like(state.momentum)
        self._by_layer = Layers.of(self._gradient, state.widths)
        self._draws = Draws(state.generator, state.values.device)
        self._graph = Graph(state.generator, state.values.device)
        self.pace = Pace()
        weights = sum(part.numel() for part in self._network.weights)
        vectors = state.values[: len(self._gradient)], state.momentum, self._gradient
        self._weights = list(cut(*(vector[:weights] for vector in vectors)))
        self._others = list(cut(*(vector[weights:] for vector in vectors)))
        self._averaged = list(cut(state.averages, state.values)) if params.averaging else []

    @torch.inference_mode()
    def run_epoch(self, epoch: int, order: Tensor) -> float:
        """Take the steps of an epoch, counted from 1; return the mean loss of its rows."""
        params, device = self._params, self._draws.device
        batches = order.to(device).split(params.batch_size)
        steps = range((epoch - 1) * len(batches), epoch * len(batches))
        rates = [learning_rate(step, params.epochs * len(batches), params) for step in steps]
        shares = [share_averaged(step, params.averaging) for step in steps]
        schedule = torch.tensor([rates, shares]).to(device).unbind(1)
        shown = tqdm(batches, f"epoch {epoch}", unit=" batches", leave=False, disable=None)
        logits = []
        for batch, at in zip(shown, schedule, strict=True):
            with self.pace.step():
                logits.append(self.take_step(batch, at))
        # Looked at when the epoch is over: a GPU would be waited for at each step.
        labels = self._training.labels[torch.cat(batches)]
        loss = _mean(cross_entropy(torch.cat(logits), labels, params.label_smoothing))
        if not isfinite(loss):
            # One row's NaN is every row's, as all losses are rounded together.
            step = [bool(answers.isfinite().all()) for answers in logits].index(False)
            told = f"{loss} in epoch {epoch}, step {step + 1}, at a rate of {rates[step]:g}"
            raise InputError(f"params.yaml: train.lr: the loss is {told}; expected {SMALLER}")
        return loss

    def take_step(self, batch: Tensor, schedule: Tensor) -> Tensor:
        """Take one step, as a graph on a GPU; return the logits before it, shape (rows, classes).

        Args:
            batch: the indices of its rows, shape (rows,).
            schedule: its learning rate, and the share of the values that averages take, shape (2,).
        """
        if batch.is_cuda and len(batch) == self._params.batch_size:
            return self._graph.run(self._take_step, batch, schedule)
        return self._take_step(self._draws, batch, schedule)

    def _take_step(self, draws: Draws, batch: Tensor, schedule: Tensor) -> Tensor:
        images = self._training.images.index_select(0, batch)
        labels = self._training.labels.index_select(0, batch)
        if self._params.augment.distorts:
            images = augment(images, self._params.augment, draws)
        found = (self._network, self._by_layer, images, labels, draws, self._params)
        logits = backpropagate(*found)
        rate, share = schedule.unbind()
        self._descend(rate)
        for averages, values in self._averaged:
            averages.add_((values - averages).mul_(share))
        return logits

    def _descend(self, rate: Tensor) -> None:
        """Move every parameter against its gradient, with momentum and weight decay."""
        decay = self._params.weight_decay
        spared = 0.0 if self._params.decayed == "weights" else decay
        for block in self._weights:
            self._move(rate, decay, *block)
        for block in self._others:
            self._move(rate, spared, *block)

    def _move(
        self, rate: Tensor, decay: float, values: Tensor, momentum: Tensor, gradient: Tensor
    ) -> None:
        if decay:
            gradient.add_(values * decay)
        momentum.add_(gradient)
        if self._params.nesterov:
            gradient.add_(momentum.mul_(self._params.momentum)).mul_(rate)
        else:
            torch.mul(momentum, rate, out=gradient)
            momentum.mul_(self._params.momentum)
        values.sub_(gradient)


def cut(*vectors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield parts of vectors of one length, so small on a CPU that its cache holds them."""
    size = BLOCK if vectors[0].device.type == "cpu" else len(vectors[0])
    return zip(*(vector.split(size) for vector in vectors), strict=True)


def validate(model: MLP, validation: Labelled) -> tuple[float, float]:
    """Return mean negative log-likelihood, in nats, and accuracy, 0 to 1; raise as `infer` does."""
    logits = infer(model, validation.images)
    right = logits.argmax(dim=1) == validation.labels
    return _mean(cross_entropy(logits, validation.labels)), right.sum().item() / len(right)


def _mean(losses: Tensor) -> float:
    return exact.over(exact.total(losses), len(losses)).item()
