"""fit: the training alone, in the working folder, timed beside the speed of large products.

    python -m benchmarks.fit

Prints the seconds of the fit of params.yaml's recipe, of an ensemble its first network's, on the
device that `train` would choose, epoch by epoch and in all; and how many floating-point operations
a second plain products of large matrices reach on the CPU, right before the fit and after it.
"""

from statistics import mean, median
from time import perf_counter

import torch

from digits.data.classes import load_classes
from digits.errors import run_command
from digits.network.device import choose_device
from digits.network.training import Trainer
from digits.params import load_params
from stages.train import load_split

SECONDS = 1.0  # of products, before the fit and after it
SIDE = 1024  # of a large matrix


def product_rate(seconds: float) -> float:
    """Return floating-point operations a second in products of large float32 matrices."""
    left, right, product = (torch.randn(SIDE, SIDE) for _ in range(3))
    times, end = [], perf_counter() + seconds
    while perf_counter() < end:
        start = perf_counter()
        torch.mm(left, right, out=product)
        times.append(perf_counter() - start)
    return 2 * SIDE**3 / median(times)


def main() -> None:
    """Fit once."""
    train, device, classes = load_params().train, choose_device(), len(load_classes())
    training, validation = (rows.to(device) for rows in load_split(classes))
    trainer = Trainer(training, validation, classes, train)
    before, start = product_rate(SECONDS), perf_counter()
    for one in trainer.run():
        seconds = perf_counter() - start
        print(f"epoch {one.epoch}: validation accuracy {one.validation_accuracy} at {seconds} s")
    print(f"fit {seconds}")
    print(f"rate {mean([before, product_rate(SECONDS)])}")


if __name__ == "__main__":
    run_command(main)
