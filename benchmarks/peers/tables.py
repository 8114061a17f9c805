"""What all of them do with pandas: read Kaggle's CSV files, split, write a submission."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

VALIDATION = 7000
WIDTHS = (784, 200, 200, 200, 10)
EPOCHS, BATCH = 5, 64
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 0.001


@dataclass(frozen=True)
class Images:
    """Normalised images, float32, shape (rows, pixels), and labels, int64, shape (rows,)."""

    train: np.ndarray
    train_labels: np.ndarray
    validation: np.ndarray
    validation_labels: np.ndarray
    test: np.ndarray


def read_images() -> Images:
    """Read both CSV files, and split the labelled rows."""
    labelled = pd.read_csv("data/mnist/train.csv")
    labels = labelled.pop("label").to_numpy()
    pixels = labelled.to_numpy(dtype=np.float32)
    test = pd.read_csv("data/mnist/test.csv").to_numpy(dtype=np.float32)
    rows = np.random.default_rng(0).permutation(len(labels))
    held_out, kept = rows[:VALIDATION], rows[VALIDATION:]
    mean, deviation = pixels[kept].mean(), pixels[kept].std()
    pixels, test = (pixels - mean) / deviation, (test - mean) / deviation
    return Images(pixels[kept], labels[kept], pixels[held_out], labels[held_out], test)


def finish(labels: np.ndarray, seconds: float) -> None:
    """Write the submission, and print how long the fit took."""
    submission = pd.DataFrame({"ImageId": np.arange(1, len(labels) + 1), "Label": labels})
    submission.to_csv("submission.csv", index=False)
    print(f"fit {seconds}")
