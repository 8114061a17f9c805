"""train: fit the network, or several one after the other, to the training rows.

A run that is stopped goes on when it is started again, after its last whole epoch or, in a long
one, from within it, and ends in the same bytes. So it does in several workers, if any are asked
for. Metrics and curves grow while it runs; of several networks they are the mean at the end.
"""

import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from time import monotonic

import numpy as np
import pandas as pd
import torch

from digits.data.classes import CLASSES, load_classes
from digits.data.csv_files import write_table
from digits.data.tensors import DIGESTS, IMAGES, PREPARED, Digests, map_array, map_labels
from digits.errors import InputError
from digits.files import write_json
from digits.network.checkpoint import Checkpoint, hash_code, identify
from digits.network.device import choose_device, describe_device
from digits.network.group import asked, join, refuse_many, start
from digits.network.model import MODEL, save_model
from digits.network.training import Epoch, Labelled, Trainer, mean_epoch
from digits.network.workers import Workers
from digits.params import PARAMS, Train, load_params

METRICS = Path("metrics/train.json")
CURVES = Path("plots/training.csv")
MEASURES = ("training_loss", "validation_loss", "validation_accuracy")
ROW = "{:>18}  {:>13}  {:>15}  {:>8}  {:>11}"  # at most 80 columns
APART = 60  # seconds between rows, where no one watches
KEPT_APART = 300  # seconds between checkpoints within an epoch


def load_split(classes: int, rows: str) -> tuple[Labelled, Labelled]:
    """Map the rows to fit, those of `train` or `all`, and the validation rows."""
    parts = [map_labels(PREPARED / part, classes) for part in ("train", "validation")]
    labels = torch.from_numpy(np.concatenate(parts))
    images = torch.from_numpy(map_array(IMAGES, np.float32, len(labels), None))
    training = len(labels) if rows == "all" else len(parts[0])
    held_out = len(parts[0])
    return (
        Labelled(images[:training], labels[:training]),
        Labelled(images[held_out:], labels[held_out:], held_out),
    )


def check_rows(found: Sequence[str], rows: str) -> None:
    """Raise `InputError` unless these are the digests, in hexadecimal, of what prepare wrote."""
    training, validation = Digests.load()
    fitted = training + validation if rows == "all" else training
    if list(found) != [one.tobytes().hex() for one in (fitted, validation)]:
        raise InputError(f"{IMAGES}: not the rows that prepare wrote; expected these")


def train_network(trainer: Trainer, checkpoint: Checkpoint, epochs: int) -> None:
    """Train to the last of the epochs, and keep a checkpoint; print a table.

    A terminal shows a row for each epoch, and how long the rest will take. Elsewhere there are the
    first and the last, and between them one a minute. Of epochs from before there is the last.
    """
    checkpoint.restore(trainer)
    print(ROW.format("", "training loss", "validation loss", "accuracy", "best so far"))
    due, saved = monotonic(), monotonic()

    def keep_within_epoch() -> None:
        nonlocal saved
        is_late = torch.tensor(monotonic() >= saved + KEPT_APART)
        if trainer.workers.largest(is_late):
            checkpoint.save(trainer)
            saved = monotonic()

    for epoch in chain(trainer.history[-1:], trainer.run(keep_within_epoch)):
        if sys.stdout.isatty() or epoch.epoch == epochs or monotonic() >= due:
            print_row(trainer.history, epochs)
            due = monotonic() + APART
        checkpoint.save(trainer)
        saved = monotonic()
        if trainer.workers.leads:
            write_history(trainer.history)


def print_row(history: Sequence[Epoch], epochs: int) -> None:
    """Print the row of the last of these epochs in the table."""
    cells = [f"{getattr(history[-1], name):.4f}" for name in MEASURES]
    best = max(one.validation_accuracy for one in history)
    print(ROW.format(f"epoch {len(history)} of {epochs}", *cells, f"{best:.4f}"), flush=True)


def write_history(history: Sequence[Epoch]) -> None:
    """Write the curves, and the metrics of the last epoch."""
    write_table(CURVES, pd.DataFrame(history))
    write_json(METRICS, {name: getattr(history[-1], name) for name in MEASURES})


def main() -> str:
    """Run the stage; return what it did, in words."""
    params, device = load_params(), choose_device()
    if count := asked():
        refuse_many(count, params.train)
        start(count, "stages", "train")
        return f"trained in workers, {count} of them on this machine"
    classes = load_classes()
    same = {str(PARAMS): params.train, str(CLASSES): classes, "digits/": hash_code()}
    with join(device, same | {str(DIGESTS): Digests.load()}) as workers:
        refuse_many(workers.size, params.train)
        return train(params.train, len(classes), workers, device)


def train(params: Train, classes: int, workers: Workers, device: torch.device) -> str:
    """Train as a worker; return what was done, in words."""
    split = load_split(classes, params.rows)
    training, validation = (part.shard(workers).to(device) for part in split)
    networks, histories, checkpoints = [], [], []
    for number, member in enumerate(params.members(), start=1):
        if params.networks > 1:
            print(f"network {number} of {params.networks}, with seed {member.seed}")
        trainer = Trainer(training, validation, classes, member, workers)
        check_rows(trainer.data, params.rows)
        checkpoints.append(Checkpoint(identify(member, classes, *trainer.data)))
        train_network(trainer, checkpoints[-1], member.epochs)
        networks.append(trainer.weights())
        histories.append(trainer.history)
    if workers.leads:
        save_model(networks, MODEL)
        write_history(list(map(mean_epoch, zip(*histories, strict=True))))
        for checkpoint in checkpoints:
            checkpoint.path.unlink(missing_ok=True)
    told = "" if params.rows == "train" else " (the validation rows among them)"
    where = f"{params.epochs} times, on {describe_device(device)}"
    among = f" in each of {workers.size} workers" if workers.size > 1 else ""
    return f"read {training.rows:,} rows{told}, {where}{among}; wrote {MODEL}"
