"""train: fit the network to the training rows.

    python -m stages.train

Reads data/prepared/train and validation; writes models/mlp.safetensors, metrics/train.json (the
last epoch) and plots/training.csv (each epoch).
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, fields
from pathlib import Path

import torch

from digits import numerics
from digits.files import write_csv, write_json
from digits.model import MLP, MODEL, save_model
from digits.params import Train, load_params
from digits.process import run_stage
from digits.tensors import PREPARED, map_labelled
from digits.training import Epoch, Labelled, fit

METRICS = Path("metrics/train.json")
CURVES = Path("plots/training.csv")


def load_split(classes: int) -> tuple[Labelled, Labelled]:
    """Map the training and the validation rows."""
    images, labels = map_labelled(PREPARED / "train", classes)
    held_out, truth = map_labelled(PREPARED / "validation", classes, pixels=images.shape[1])
    training = Labelled(torch.from_numpy(images), torch.from_numpy(labels))
    return training, Labelled(torch.from_numpy(held_out), torch.from_numpy(truth))


def start(
    train: Train, classes: int, training: Labelled, validation: Labelled
) -> tuple[MLP, Iterator[Epoch]]:
    """Return a new network, and the epochs that fit it as they are asked for."""
    generator = torch.Generator().manual_seed(train.seed)
    model = MLP([training.images.shape[1], *train.widths, classes])
    model.reset(generator)
    return model, fit(model, training, validation, train, generator)


def tabulate(epochs: Iterable[Epoch]) -> list[Epoch]:
    """Print a row of the table for each epoch as it comes; return them all."""
    print("epoch  training loss  validation loss  accuracy")
    done = []
    for epoch in epochs:
        print(
            f"{epoch.epoch:5}  {epoch.training_loss:13.4f}  {epoch.validation_loss:15.4f}  "
            f"{epoch.validation_accuracy:8.4f}",
            flush=True,
        )
        done.append(epoch)
    return done


def warn_of_chance(last: Epoch, labels: torch.Tensor) -> None:
    """Warn where the network does no better than always giving the commonest class."""
    commonest = labels.bincount().max().item() / len(labels)
    if last.validation_accuracy <= commonest:
        print(
            f"warning: validation accuracy {last.validation_accuracy:.4f} is no better than always "
            f"giving the commonest class ({commonest:.4f}); the network has learnt nothing",
            file=sys.stderr,
        )


def main() -> None:
    """Run the stage."""
    params = load_params()
    numerics.configure(params.numerics)
    training, validation = load_split(params.data.classes)
    model, fitting = start(params.train, params.data.classes, training, validation)
    epochs = tabulate(fitting)
    warn_of_chance(epochs[-1], validation.labels)
    save_model(model, MODEL)
    write_csv(CURVES, [field.name for field in fields(Epoch)], map(astuple, epochs))
    write_json(METRICS, asdict(epochs[-1]))
    print(f"train: {len(training.labels):,} rows, {len(epochs)} epochs; wrote {MODEL}")


if __name__ == "__main__":
    run_stage(main)
