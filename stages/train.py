"""train: fit the network, or several one after the other, to the training rows.

A run that is stopped goes on after its last whole epoch when it is started again, and ends in the
same bytes. Metrics and curves grow while it runs; of several networks they are the mean at the end.
"""

import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from time import monotonic

import pandas as pd
import torch

from digits.data.classes import load_classes
from digits.data.csv_files import write_table
from digits.data.tensors import PREPARED, map_labelled
from digits.files import write_json
from digits.network.checkpoint import Checkpoint, identify
from digits.network.device import choose_device, describe_device
from digits.network.model import MODEL, save_model
from digits.network.training import Epoch, Labelled, Trainer, mean_epoch
from digits.params import load_params

METRICS = Path("metrics/train.json")
CURVES = Path("plots/training.csv")
MEASURES = ("training_loss", "validation_loss", "validation_accuracy")
ROW = "{:>18}  {:>13}  {:>15}  {:>8}  {:>11}"  # at most 80 columns
APART = 60  # seconds between rows, where no one watches


def load_split(classes: int) -> tuple[Labelled, Labelled]:
    """Map the training and the validation rows."""
    images, labels = map_labelled(PREPARED / "train", classes)
    held_out, truth = map_labelled(PREPARED / "validation", classes, pixels=images.shape[1])
    training = Labelled(torch.from_numpy(images), torch.from_numpy(labels))
    return training, Labelled(torch.from_numpy(held_out), torch.from_numpy(truth))


def train_network(trainer: Trainer, checkpoint: Checkpoint, epochs: int) -> None:
    """Train to the last of the epochs, and keep a checkpoint; print a table.

    A terminal shows a row for each epoch, and how long the rest will take. Elsewhere there are the
    first and the last, and between them one a minute. Of epochs from before there is the last.
    """
    checkpoint.restore(trainer)
    print(ROW.format("", "training loss", "validation loss", "accuracy", "best so far"))
    due = monotonic()
    for epoch in chain(trainer.history[-1:], trainer.run()):
        if sys.stdout.isatty() or epoch.epoch == epochs or monotonic() >= due:
            print_row(trainer.history, epochs)
            due = monotonic() + APART
        checkpoint.save(trainer)
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
    params = load_params()
    train, classes, device = params.train, len(load_classes()), choose_device()
    training, validation = load_split(classes)
    if train.rows == "all":
        training = Labelled(
            torch.cat([training.images, validation.images]),
            torch.cat([training.labels, validation.labels]),
        )
    there = training.to(device), validation.to(device)
    networks, histories, checkpoints = [], [], []
    for number, member in enumerate(train.members(), start=1):
        if train.networks > 1:
            print(f"network {number} of {train.networks}, with seed {member.seed}")
        checkpoints.append(Checkpoint(identify((member, classes), *there)))
        trainer = Trainer(*there, classes, member)
        train_network(trainer, checkpoints[-1], member.epochs)
        networks.append(trainer.weights())
        histories.append(trainer.history)
    save_model(networks, MODEL)
    write_history(list(map(mean_epoch, zip(*histories, strict=True))))
    for checkpoint in checkpoints:
        checkpoint.path.unlink(missing_ok=True)
    told = "" if train.rows == "train" else " (the validation rows among them)"
    where = f"{train.epochs} times, on {describe_device(device)}"
    return f"read {len(training.labels):,} rows{told}, {where}; wrote {MODEL}"
