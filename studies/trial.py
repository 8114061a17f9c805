"""One trial of a study: networks trained on the rows that a fold does not hold out, and judged."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from digits.data.classes import UNKNOWN
from digits.evaluation.measures import Predictions, negative_log_likelihood
from digits.network.device import choose_device
from digits.network.inference import infer, probabilities
from digits.network.model import MLP, Ensemble, encode
from digits.network.training import Labelled, Trainer
from digits.params import Params


@dataclass(frozen=True)
class Rows:
    """All labelled rows, which of them each fold holds out, and the test images, if looked at.

    Attributes:
        images: shape (rows, pixels), float32, normalised.
        labels: shape (rows,).
        classes: how many there are.
        folds: the fold that holds a row out, or -1, shape (rows,).
        test: images, shape (test rows, pixels), float32, normalised.
        truth: their labels, `UNKNOWN` where there is no answer, shape (test rows,).
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int
    folds: NDArray[np.int64]
    test: NDArray[np.float32]
    truth: NDArray[np.int64]

    def choose(self, chosen: NDArray[np.bool_]) -> Labelled:
        """Return copies of the rows where `chosen`, shape (rows,), is True."""
        images, labels = self.images[chosen], self.labels[chosen]
        return Labelled(torch.from_numpy(images), torch.from_numpy(labels))

    def known(self) -> Labelled:
        """Return copies of the test images that have an answer, and those answers."""
        known = self.truth != UNKNOWN
        return Labelled(torch.from_numpy(self.test[known]), torch.from_numpy(self.truth[known]))


@dataclass(frozen=True)
class Fit:
    """What one training came to.

    Attributes:
        network: the trained one.
        seconds: of the training, with validation after each epoch.
    """

    network: MLP
    seconds: float


@dataclass(frozen=True)
class Result:
    """What the networks of a trial do on rows that they were not trained on.

    Attributes:
        rows: how many are held out.
        errors: how many of them are wrong.
        negative_log_likelihood: mean over them, in nats.
        test_rows: test images that were looked at, and whose label is known.
        test_errors: how many of them are wrong.
        seconds: of all trainings together.
        network: SHA-256, in hexadecimal, of the file that train writes.
    """

    rows: int
    errors: int
    negative_log_likelihood: float
    test_rows: int
    test_errors: int
    seconds: float
    network: str

    @property
    def accuracy(self) -> float:
        """The share of the held-out rows that are right, from 0 to 1."""
        return (self.rows - self.errors) / self.rows


def train_network(params: Params, fold: int, rows: Rows) -> Fit:
    """Train one network on the rows that a fold does not hold out."""
    training, held_out = rows.choose(rows.folds != fold), rows.choose(rows.folds == fold)
    device = choose_device()
    trainer = Trainer(training.to(device), held_out.to(device), rows.classes, params.train)
    start = perf_counter()
    for _ in trainer.run():
        pass
    return Fit(trainer.network().cpu(), perf_counter() - start)


def judge(params: Params, fold: int, fits: Sequence[Fit], rows: Rows) -> Result:
    """Let networks answer together the rows that a fold holds out, and the test images."""
    model, shift = Ensemble([one.network for one in fits]), params.predict.shift
    held_out, test = rows.choose(rows.folds == fold), rows.known()
    shares, logarithms = probabilities(infer(model, held_out.images, shift))
    actual, truth = held_out.labels.numpy(), test.labels.numpy()
    answers = Predictions(truth, probabilities(infer(model, test.images, shift))[0])
    return Result(
        rows=len(actual),
        errors=len(Predictions(actual, shares).misclassified()),
        negative_log_likelihood=negative_log_likelihood(logarithms, actual),
        test_rows=len(truth),
        test_errors=len(answers.misclassified()),
        seconds=sum(one.seconds for one in fits),
        network=hashlib.sha256(encode(model)).hexdigest(),
    )


def answer(params: Params, fold: int, fits: Sequence[Fit], rows: Rows) -> NDArray[np.float64]:
    """Return the probabilities of the rows that a fold holds out, shape (held out, classes)."""
    model = Ensemble([one.network for one in fits])
    held_out = rows.choose(rows.folds == fold)
    return probabilities(infer(model, held_out.images, params.predict.shift))[0]
