"""Stochastic gradient descent on a network, batch by batch, epoch by epoch."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from itertools import pairwise, starmap
from math import isfinite, sqrt
from statistics import fmean
from typing import Never

import torch
from torch import Tensor
from tqdm import tqdm

from digits import exact
from digits.errors import InputError
from digits.network.augmentation import augment
from digits.network.backpropagation import backpropagate, cross_entropy, view_layers
from digits.network.descent import Descent
from digits.network.device import Pace
from digits.network.draws import Draws
from digits.network.graph import Graph
from digits.network.inference import BLOCK, SMALLER, finite
from digits.network.int8 import product
from digits.network.model import MLP, Weights
from digits.network.schedule import learning_rate, share_averaged
from digits.params import Train

BAR = "{desc} {percentage:3.0f}%|{bar}| {remaining} left"  # of all epochs, at their pace so far
SAMPLED = 10  # of so many training rows, one is measured after each epoch: 2 % of its time


@dataclass(frozen=True)
class Labelled:
    """Images and their labels, in memory or mapped."""

    images: Tensor  # shape (rows, pixels), float32, normalised
    labels: Tensor  # shape (rows,), int64

    def to(self, device: torch.device) -> "Labelled":
        """Return the same rows on a device."""
        return Labelled(self.images.to(device), self.labels.to(device))

    @cached_property
    def sha256(self) -> str:
        """Of the rows, in hexadecimal."""
        return digest(self.images, self.labels)


def digest(*tensors: Tensor) -> str:
    """Return the SHA-256 of tensors, of their types and shapes too, in hexadecimal."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().cpu().numpy().data)
    return found.hexdigest()


def brief(*digests: str) -> str:
    """Return the beginning of a SHA-256 of digests, as the history has it."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; digests are the beginnings of a SHA-256, in hexadecimal."""

    epoch: int  # counted from 1
    minimised_loss: float  # mean of its rows, each before its step, disturbed and smoothed, in nats
    training_loss: float  # mean negative log-likelihood after it, of a sample as it is, in nats
    validation_loss: float  # the same of the validation rows
    validation_accuracy: float  # share of right validation rows after the epoch, from 0 to 1
    weights_sha256: str  # of all that training carries on
    draws_sha256: str  # of what was drawn so far: the order of the rows, and the generator's state
    data_sha256: str  # of the training and the validation rows


def mean_epoch(epochs: Sequence[Epoch]) -> Epoch:
    """Return the mean of an epoch over networks, and the digests of their digests."""
    if len(epochs) == 1:
        return epochs[0]
    (number, *_), *columns = zip(*map(astuple, epochs), strict=True)
    minimised, loss, held_out_loss, accuracy = map(fmean, columns[:4])
    return Epoch(number, minimised, loss, held_out_loss, accuracy, *starmap(brief, columns[4:]))


class Trainer:
    """The training of a network, on the device where the rows lie."""

    def __init__(
        self, training: Labelled, validation: Labelled, classes: int, params: Train
    ) -> None:
        self._training, self._validation, self._params = training, validation, params
        self._sample = Labelled(training.images[::SAMPLED], training.labels[::SAMPLED])
        self._widths = (training.images.shape[1], *params.widths, classes)
        # On the CPU, it draws whatever is random: the network, then the order of the rows.
        self.generator = torch.Generator().manual_seed(params.seed)
        self.history: list[Epoch] = []  # so far
        device = training.images.device
        values = draw_network(self._widths, self.generator, batch_norm=params.batch_norm)
        self.descent = Descent(values.to(device), self._widths, params)
        self._draws = Draws(self.generator, device)
        self._graph = Graph(self.generator, device)

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of the plain network that answers: of averages, if any."""
        averages = self.descent.averages
        values = averages if len(averages) else self.descent.values
        return [layer.folded() for layer in view_layers(values, self._widths)]

    def weights(self) -> Weights:
        """Return what training has come to, which goes on without changing it."""
        pairs = self._layers()
        return [(one.cpu().numpy().copy(), bias.cpu().numpy().copy()) for one, bias in pairs]

    def measure(self, rows: Labelled) -> tuple[float, float]:
        """Return mean negative log-likelihood, in nats, and accuracy, or raise as `finite`."""
        network, blocks = MLP.of(self._layers()), rows.images.split(BLOCK)
        logits = finite(torch.cat([network.answer(block, product) for block in blocks]))
        right = logits.argmax(dim=1) == rows.labels
        return _mean(cross_entropy(logits, rows.labels)), right.sum().item() / len(right)

    def run(self) -> Iterator[Epoch]:
        """Train to the last epoch, from wherever a checkpoint has brought it; yield each epoch.

        A loss, or answers, that are no longer finite are an InputError.
        """
        rows, epochs = len(self._training.labels), self._params.epochs
        self._refuse_a_batch_of_one(rows)
        done, total = (number * rows for number in (len(self.history), epochs))
        pace = Pace()
        try:
            with tqdm(
                total=total, initial=done, bar_format=BAR, leave=False, disable=None, smoothing=0
            ) as shown:
                for number in range(len(self.history) + 1, epochs + 1):
                    shown.set_description_str(f"epoch {number} of {epochs}", refresh=False)
                    order = torch.randperm(rows, generator=self.generator)
                    minimised = self._run_epoch(number, order, pace, shown)
                    measures = (self.measure(self._sample)[0], *self.measure(self._validation))
                    self.history.append(Epoch(number, minimised, *measures, *self._digests(order)))
                    shown.clear()  # for whatever is printed of the epoch
                    yield self.history[-1]
        finally:
            pace.end()

    def _refuse_a_batch_of_one(self, rows: int) -> None:
        size = self._params.batch_size
        if self._params.batch_norm and 1 in (size, rows % size):
            told = f"{size}: makes a batch of 1 of {rows} rows, without deviation"
            expected = "another size, or train.batch_norm = false"
            raise InputError(f"params.yaml: train.batch_size = {told}; expected {expected}")

    def _digests(self, order: Tensor) -> list[str]:
        """Return those of an epoch that took its rows in this order."""
        before = self.history[-1].draws_sha256 if self.history else ""
        numbers = (self.descent.values, self.descent.momentum, self.descent.averages)
        return [
            # The sign of a product that is 0 is its kernel's: it reaches sums, but no weight.
            brief(digest(*(one + 0.0 for one in numbers))),
            brief(before, digest(order, self.generator.get_state())),
            brief(self._training.sha256, self._validation.sha256),
        ]

    @torch.inference_mode()
    def _run_epoch(self, epoch: int, order: Tensor, pace: Pace, shown: "tqdm[Never]") -> float:
        """Take the steps of an epoch; return the mean loss of its rows."""
        params, order = self._params, order.to(self._draws.device)
        batches = order.split(params.batch_size)
        steps = range((epoch - 1) * len(batches), epoch * len(batches))
        rates = [learning_rate(step, params.epochs * len(batches), params) for step in steps]
        shares = [share_averaged(step, params.averaging) for step in steps]
        schedule = torch.tensor([rates, shares]).to(order.device).unbind(1)
        logits = []
        for batch, at in zip(batches, schedule, strict=True):
            with pace.step():
                logits.append(self.take_step(batch, at))
            shown.update(len(batch))
        # Looked at when the epoch is over: a GPU would be waited for at each step.
        labels = self._training.labels[order]
        loss = _mean(cross_entropy(torch.cat(logits), labels, params.label_smoothing))
        if not isfinite(loss):
            told = f"the loss is {loss} in epoch {epoch}"
            raise InputError(f"params.yaml: train.lr: {told}; expected {SMALLER}")
        return loss

    def take_step(self, batch: Tensor, schedule: Tensor) -> Tensor:
        """Take a step, at a rate and a share averaged; return the logits of its rows before it."""
        if batch.is_cuda and len(batch) == self._params.batch_size:
            return self._graph.run(self._step, batch, schedule)
        return self._step(self._draws, batch, schedule)

    def _step(self, draws: Draws, batch: Tensor, schedule: Tensor) -> Tensor:
        images = self._training.images.index_select(0, batch)
        labels = self._training.labels.index_select(0, batch)
        if self._params.augment.distorts:
            images = augment(images, self._params.augment, draws)
        network, gradient = self.descent.network, self.descent.gradient
        logits = backpropagate(network, gradient, images, labels, draws, self._params)
        self.descent.step(*schedule.unbind())
        return logits


def draw_network(widths: Sequence[int], generator: torch.Generator, *, batch_norm: bool) -> Tensor:
    """Return the numbers of a new network, as `view_layers` views them."""
    sizes = [(inputs + 1) * outputs for inputs, outputs in pairwise(widths)]
    values = torch.ones(sum(sizes) + (3 * sum(widths[1:-1]) if batch_norm else 0))
    for layer in view_layers(values, widths):
        # As nn.Linear does it: uniform within 1 / sqrt(inputs) of 0.
        for part in (layer.weights.T, layer.bias):
            drawn = torch.rand(part.shape, generator=generator) * 2 - 1
            part.copy_(drawn * (1 / sqrt(len(layer.weights))))
        if layer.norm:
            layer.norm[1].zero_()  # running means
    return values


def _mean(losses: Tensor) -> float:
    return exact.over(exact.total(losses), len(losses)).item()
