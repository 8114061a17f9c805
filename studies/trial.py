"""One trial of a study: networks trained on the rows that a fold does not hold out, and judged."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from digits.data.classes import UNKNOWN
from digits.data.tensors import Statistics
from digits.errors import InputError
from digits.evaluation.measures import Predictions, negative_log_likelihood
from digits.exact import log_softmax, softmax
from digits.files import write_json
from digits.network.device import choose_device
from digits.network.inference import infer
from digits.network.model import MLP, Weights, encode, load_model, save_model
from digits.network.training import Labelled, Trainer
from digits.params import Params

# What `judge` finds.
Judged = tuple[dict[str, object], NDArray[np.float64]]


@dataclass(frozen=True)
class Rows:
    """All labelled rows, and the test images, if these are looked at."""

    pixels: NDArray[np.uint8]  # as they came, (rows, pixels)
    labels: NDArray[np.int64]
    classes: int
    folds: NDArray[np.int64]  # that hold a row out, or -1
    test: NDArray[np.uint8]  # pixels
    truth: NDArray[np.int64]  # their labels, UNKNOWN where there is no answer

    @cached_property
    def sha256(self) -> str:
        """Of all labelled rows, in hexadecimal."""
        return hashlib.sha256(self.pixels.tobytes() + self.labels.tobytes()).hexdigest()

    def held_out(self, params: Params, fold: int) -> NDArray[np.bool_]:
        """Return which rows are not trained on, shape (rows,)."""
        found: NDArray[np.bool_] = (self.folds == fold) & (params.train.rows == "train")
        return found

    def prepare(self, params: Params, fold: int) -> Statistics:
        """Return what prepare would find of the rows that are not in a fold."""
        blocks = [self.pixels[self.folds != fold]]
        return Statistics.measure(blocks, straightened=params.prepare.straighten)


@dataclass(frozen=True)
class Fit:
    """A trained network, and the seconds it took, with validation after each epoch."""

    network: Weights
    seconds: float

    def save(self, path: Path) -> None:
        """Write the network to a file, then the seconds to a second one, a record beside it."""
        save_model([self.network], path)
        write_json(path.with_suffix(".json"), {"seconds": self.seconds})


def load_fit(path: Path, pixels: int, classes: int) -> Fit | None:
    """Return what was saved; None where it was not, or a file of it is damaged."""
    with suppress(OSError, ValueError, LookupError, TypeError, InputError):
        record = json.loads(path.with_suffix(".json").read_bytes())
        [network] = load_model(path, pixels, classes)
        return Fit(network, float(record["seconds"]))
    return None


def train_network(params: Params, fold: int, rows: Rows) -> Fit | InputError:
    """Train one network on the rows that are not held out; return why where it fails."""
    images, device = rows.prepare(params, fold).normalise(rows.pixels), choose_device()
    training, validation = (
        Labelled(torch.from_numpy(images[part]), torch.from_numpy(rows.labels[part])).to(device)
        for part in (~rows.held_out(params, fold), rows.folds == fold)
    )
    start = perf_counter()
    try:
        trainer = Trainer(training, validation, rows.classes, params.train)
        for _ in trainer.run():
            pass
    except InputError as error:
        return error
    return Fit(trainer.weights(), perf_counter() - start)


def judge(params: Params, fold: int, fits: Sequence[Fit], rows: Rows) -> Judged:
    """Let networks answer together the rows that a fold holds out, and the test images.

    Returns figures by name, and the probabilities of the held-out rows, (rows, classes).
    """
    weights, normalise = [one.network for one in fits], rows.prepare(params, fold).normalise
    networks = [MLP.of(one) for one in weights]
    held_out, known = rows.held_out(params, fold), rows.truth != UNKNOWN
    actual, truth = rows.labels[held_out], rows.truth[known]
    logits, tested = (
        infer(networks, normalise(pixels), params.predict)
        for pixels in (rows.pixels[held_out], rows.test[known])
    )
    shares, logarithms = softmax(logits), log_softmax(logits)
    loss = negative_log_likelihood(logarithms, actual) if len(actual) else None
    figures: dict[str, object] = {
        "rows": len(actual),
        "errors": len(Predictions(actual, shares).misclassified()),
        "negative_log_likelihood": loss,  # nats, mean
        "test_rows": len(truth),
        "test_errors": len(Predictions(truth, softmax(tested)).misclassified()),
        "seconds": sum(one.seconds for one in fits),
        "network": hashlib.sha256(encode(weights)).hexdigest(),  # of the file that train writes
    }
    return figures, shares
