"""download: MNIST's 70,000 images (20 MB), dealt into CSV files in Kaggle's form.

Beside them are the labels of test.csv, and those of all images, which are for `score` alone.
"""

from pathlib import Path

import numpy as np

from digits.data.answers import ANSWERS, write_answers
from digits.data.image_table import write_images
from digits.data.mnist import fetch, sources
from digits.data.submission import count_ids, write_submission
from digits.params import load_params

MNIST = Path("data/mnist")


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    pixels, labels = fetch(*sources())
    order = np.random.default_rng(params.download.seed).permutation(len(labels))
    train, test = np.split(order, [len(order) * 3 // 5])  # 42,000 of 70,000, as Kaggle has them
    write_images(MNIST / "train.csv", pixels[train], labels[train])
    write_images(MNIST / "test.csv", pixels[test])
    write_submission(MNIST / "solution.csv", count_ids(len(test)), map(str, labels[test]))
    write_answers(ANSWERS, pixels, labels)
    return f"read MNIST's {len(labels):,} images; wrote {MNIST}"
