"""Stochastic gradient descent on a network, batch by batch, epoch by epoch."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property, partial
from itertools import pairwise, starmap
from math import fsum, isfinite, sqrt
from statistics import fmean
from typing import Never

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from digits import exact
from digits.data.tensors import digest_rows
from digits.errors import InputError
from digits.network.augmentation import augment
from digits.network.backpropagation import Batch, backpropagate, cross_entropy, view_layers
from digits.network.descent import Descent
from digits.network.device import Pace
from digits.network.draws import Draws
from digits.network.graph import Graph
from digits.network.inference import BLOCK, SMALLER, finite
from digits.network.int8 import product
from digits.network.model import MLP, Weights
from digits.network.schedule import learning_rate, share_averaged
from digits.network.workers import ALONE, Workers
from digits.params import Train

BAR = "{desc} {percentage:3.0f}%|{bar}| {remaining} left"  # of all epochs, at their pace so far
ROWS = 2**16  # as many at least are taken between two looks at their loss, if the epoch has them
SAMPLED = 10  # of so many training rows, one is measured after each epoch: 2 % of its time


@dataclass(frozen=True)
class Labelled:
    """Images and their labels, in memory or mapped: all, or those of one worker."""

    images: Tensor  # shape (rows, pixels), float32, normalised
    labels: Tensor  # shape (rows,), int64
    first: int = 0  # the row index of the first, in the file that they are from
    everyone: int = 0  # how many rows all workers have, unless these are all

    @property
    def rows(self) -> int:
        """How many rows all workers have."""
        return self.everyone or len(self.labels)

    def shard(self, workers: Workers) -> "Labelled":
        """Return the rows of this worker."""
        own = workers.shard(len(self.labels))
        return Labelled(self.images[own], self.labels[own], self.first + own.start, self.rows)

    def to(self, device: torch.device) -> "Labelled":
        """Return the same rows on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    @cached_property
    def sums(self) -> Tensor:
        """What `digest_rows` returns of the rows, int64, shape (4,)."""
        images, labels = self.images.cpu().numpy(), self.labels.cpu().numpy()
        return torch.from_numpy(digest_rows(images, labels, self.first).view(np.int64))


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
    """The training of a network, on the device where the rows lie: this worker's part of it."""

    def __init__(
        self,
        training: Labelled,
        validation: Labelled,
        classes: int,
        params: Train,
        workers: Workers = ALONE,
    ) -> None:
        self._training, self._validation, self._params = training, validation, params
        self.workers = workers
        sampled = slice(-training.first % SAMPLED, None, SAMPLED)
        images, labels = training.images[sampled], training.labels[sampled]
        self._power = workers.largest(exact.power_within(training.images))
        self._sample = Labelled(images, labels, everyone=-(-training.rows // SAMPLED))
        self._widths = (training.images.shape[1], *params.widths, classes)
        # On the CPU, it draws whatever is random: the network, then the order of the rows.
        self.generator = torch.Generator().manual_seed(params.seed)
        self.history: list[Epoch] = []  # so far
        self.losses: list[float] = []  # of the epoch at hand, summed from look to look, in nats
        device = training.images.device
        values = draw_network(self._widths, self.generator, batch_norm=params.batch_norm)
        self.descent = Descent(values.to(device), self._widths, params, workers)
        self._draws = Draws(self.generator, device)
        self._graph = Graph(self.generator, device)
        self.begun = self.generator.get_state()  # when the epoch at hand began
        self.data = [self._digest(part) for part in (training, validation)]  # in hexadecimal

    def _digest(self, rows: Labelled) -> str:
        return self.workers.summed(rows.sums).cpu().numpy().tobytes().hex()

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
        network, losses, right = MLP.of(self._layers()), [], []
        for images, labels in zip(rows.images.split(BLOCK), rows.labels.split(BLOCK), strict=True):
            logits = network.answer(images, product)
            losses.append(cross_entropy(logits, labels))
            right.append((logits.argmax(dim=1) == labels).sum())
        # The sum is finite where all logits are.
        loss = finite(self.workers.total(torch.cat(losses), rows.rows)).item()
        hits = self.workers.summed(torch.stack(right).sum()).item()
        return loss / rows.rows, hits / rows.rows

    def run(self, pause: Callable[[], None] = lambda: None) -> Iterator[Epoch]:
        """Train to the last epoch, from wherever a checkpoint has brought it; yield each epoch.

        `pause` is called now and then within an epoch, where training can be kept as well. A loss,
        or answers, that are no longer finite are an InputError.
        """
        rows, epochs = self._training.rows, self._params.epochs
        self._refuse_a_batch_of_one(rows)
        done = (len(self.history) * rows, len(self.losses) * ROWS)
        quiet = True if self.workers.rank else None  # None: unless a terminal watches
        pace, shown_by = Pace(), partial(tqdm, bar_format=BAR, leave=False, smoothing=0)
        try:
            with shown_by(total=epochs * rows, initial=sum(done), disable=quiet) as shown:
                for number in range(len(self.history) + 1, epochs + 1):
                    shown.set_description_str(f"epoch {number} of {epochs}", refresh=False)
                    order = self._draw_order(rows)
                    for _ in self._take_steps(number, order, pace, shown):
                        pause()
                    self._end_epoch(number, order)
                    shown.clear()  # for whatever is printed of the epoch
                    yield self.history[-1]
        finally:
            pace.end()

    def _draw_order(self, rows: int) -> Tensor:
        """Return the rows of the epoch at hand in their order, as they were drawn as it began."""
        now = self.generator.get_state()
        if self.losses:
            self.generator.set_state(self.begun)
        else:
            self.begun = now
        order = torch.randperm(rows, generator=self.generator)
        if self.losses:
            self.generator.set_state(now)
        return order

    def _end_epoch(self, number: int, order: Tensor) -> None:
        self.descent.complete()
        minimised = fsum(self.losses) / self._training.rows
        measures = (self.measure(self._sample)[0], *self.measure(self._validation))
        self.history.append(Epoch(number, minimised, *measures, *self._digests(order)))
        self.losses.clear()

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
            brief(*self.data),
        ]

    @torch.inference_mode()
    def _take_steps(
        self, epoch: int, order: Tensor, pace: Pace, shown: "tqdm[Never]"
    ) -> Iterator[None]:
        """Take what is left of an epoch's steps; yield at each look at their losses but one."""
        params = self._params
        batches = order.to(self._draws.device).split(params.batch_size)
        apart = -(-ROWS // params.batch_size)
        looks = range(0, len(batches), apart)
        for start in looks[len(self.losses) :]:
            taken, first = batches[start : start + apart], (epoch - 1) * len(batches) + start
            schedule, logits = self._schedule(first, len(taken), len(batches)), []
            for batch, at in zip(taken, schedule, strict=True):
                with pace.step():
                    logits.append(self.take_step(batch, at))
                shown.update(len(batch))
            # Looked at now and then: a GPU would be waited for at each step.
            rows = torch.cat(taken)
            _, own = self.workers.deal(rows, self._training.rows)
            blocks = zip(torch.cat(logits).split(BLOCK), own.split(BLOCK), strict=True)
            losses = [
                cross_entropy(one, self._training.labels[part], params.label_smoothing)
                for one, part in blocks
            ]
            loss = self.workers.total(torch.cat(losses), len(rows)).item()
            if not isfinite(loss):
                told = f"the loss is {loss} in epoch {epoch}"
                raise InputError(f"params.yaml: train.lr: {told}; expected {SMALLER}")
            self.losses.append(loss)
            if start != looks[-1]:
                yield

    def _schedule(self, first: int, steps: int, in_epoch: int) -> Sequence[Tensor]:
        """Return the learning rate and the share averaged of some steps, each of shape (2,)."""
        params, numbers = self._params, range(first, first + steps)
        rates = [learning_rate(one, params.epochs * in_epoch, params) for one in numbers]
        shares = [share_averaged(one, params.averaging) for one in numbers]
        return torch.tensor([rates, shares]).to(self._draws.device).unbind(1)

    def take_step(self, batch: Tensor, schedule: Tensor) -> Tensor:
        """Take a step, at a rate and a share averaged; return the logits of own rows before it."""
        alone = self.workers.size == 1  # so that shapes are known
        if batch.is_cuda and len(batch) == self._params.batch_size and alone:
            return self._graph.run(self._step, batch, schedule)
        return self._step(self._draws, batch, schedule)

    def _step(self, draws: Draws, batch: Tensor, schedule: Tensor) -> Tensor:
        share, own = self.workers.deal(batch, self._training.rows)
        images = self._training.images.index_select(0, own)
        labels = self._training.labels.index_select(0, own)
        if self._params.augment.distorts:
            images = augment(images, self._power, self._params.augment, draws, share)
        network, gradient = self.descent.network, self.descent.gradient
        mine = Batch(images, labels, self._power, share)
        logits = backpropagate(network, gradient, mine, draws, self._params)
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
