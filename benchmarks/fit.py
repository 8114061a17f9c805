"""fit: the training alone, in the working folder, timed beside the speed of large products.

    python -m benchmarks.fit

Prints the seconds of the fit of params.yaml's recipe, of an ensemble its first network's, on the
device that `train` would choose, epoch by epoch and in all; how many floating-point operations a
second plain products of large matrices reach on the CPU; and the seconds of the products of one
step there, with nothing else. These two are taken right before the fit and right after it.
"""

from statistics import mean
from time import perf_counter

from benchmarks.floor import product_rate, step_time
from digits.data.classes import load_classes
from digits.network.device import choose_device
from digits.network.training import Trainer
from digits.params import load_params
from stages.train import load_split

SECONDS = 1.0  # of products, before the fit and after it


def main() -> None:
    """Fit once."""
    params = load_params()
    device = choose_device()
    classes = len(load_classes())
    training, validation = (rows.to(device) for rows in load_split(classes))
    widths = [training.images.shape[1], *params.train.widths, classes]
    trainer = Trainer(training, validation, classes, params.train)
    before = product_rate(SECONDS), step_time(widths, params.train.batch_size, SECONDS)
    start = perf_counter()
    for one in trainer.run():
        seconds = perf_counter() - start
        print(f"epoch {one.epoch}: validation accuracy {one.validation_accuracy} at {seconds} s")
    print(f"fit {seconds}")
    after = product_rate(SECONDS), step_time(widths, params.train.batch_size, SECONDS)
    rate, step = map(mean, zip(before, after, strict=True))
    print(f"rate {rate}")
    print(f"step {step}")


if __name__ == "__main__":
    main()
