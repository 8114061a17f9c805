"""Train with one of the libraries on data/mnist/train.csv, and write submission.csv for test.csv.

    python -m peers fastai_learner

All train 784-200-200-200-10 with SGD, five epochs of batches of 64. Prints the seconds of the fit.
"""

import sys
from importlib import import_module
from time import perf_counter

import numpy as np
import pandas as pd
from peers import VALIDATION, Rows


def read_images() -> tuple[Rows, Rows, np.ndarray]:
    """Read both CSV files, and split the labelled rows; return normalised images."""
    labelled = pd.read_csv("data/mnist/train.csv")
    labels = labelled.pop("label").to_numpy()
    pixels = labelled.to_numpy(dtype=np.float32)
    test = pd.read_csv("data/mnist/test.csv").to_numpy(dtype=np.float32)
    rows = np.random.default_rng(0).permutation(len(labels))
    held_out, kept = rows[:VALIDATION], rows[VALIDATION:]
    mean, deviation = pixels[kept].mean(), pixels[kept].std()
    pixels, test = (pixels - mean) / deviation, (test - mean) / deviation
    return (pixels[kept], labels[kept]), (pixels[held_out], labels[held_out]), test


def main() -> None:
    """Read, train, predict."""
    training, validation, test = read_images()
    # What it makes first imports torch's compiler: it counts for the whole, and not for the fit.
    fit, predict = import_module(f"peers.{sys.argv[1]}").prepare(training, validation)
    start = perf_counter()
    fit()
    seconds = perf_counter() - start
    labels = predict(test)
    submission = pd.DataFrame({"ImageId": np.arange(1, len(labels) + 1), "Label": labels})
    submission.to_csv("submission.csv", index=False)
    print(f"fit {seconds}")


if __name__ == "__main__":
    main()
