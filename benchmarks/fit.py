"""fit: the training alone, in the working folder.

    python -m benchmarks.fit

Prints the seconds of the fit of params.yaml's recipe, of an ensemble its first network's, on the
device that `train` would choose, epoch by epoch and in all.
"""

from time import perf_counter

from digits.data.classes import load_classes
from digits.errors import run_command
from digits.network.device import choose_device
from digits.network.training import Trainer
from digits.params import load_params
from stages.train import load_split


def main() -> None:
    """Fit once."""
    train, device, classes = load_params().train, choose_device(), len(load_classes())
    training, validation = (rows.to(device) for rows in load_split(classes, train.rows))
    trainer = Trainer(training, validation, classes, train)
    start = perf_counter()
    for one in trainer.run():
        seconds = perf_counter() - start
        print(f"epoch {one.epoch}: validation accuracy {one.validation_accuracy} at {seconds} s")
    print(f"fit {seconds}")


if __name__ == "__main__":
    run_command(main)
