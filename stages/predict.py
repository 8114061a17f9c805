"""predict: the network's answer for each test image, as a submission and as a table."""

import numpy as np
from tqdm import tqdm

from digits.data.classes import load_classes
from digits.data.csv_files import write_table
from digits.data.predictions import TEST, load_first_line, tabulate
from digits.data.submission import SUBMISSION, read_ids, write_submission
from digits.data.tensors import PREPARED, read_pixels
from digits.params import load_params
from digits.recogniser import Recogniser


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    recogniser, classes, ids = Recogniser.load(), load_classes(), read_ids()
    blocks = read_pixels(PREPARED / "test", recogniser.description.statistics.pixels)
    shown = tqdm(blocks, "predicted", unit=" blocks", leave=False, disable=None, delay=2)
    shares = np.concatenate([recogniser.probabilities(block) for block in shown])
    write_submission(SUBMISSION, ids, (classes[code] for code in shares.argmax(axis=1)))
    names, rows = recogniser.description.classes, np.arange(len(shares))
    write_table(TEST, tabulate(shares, names, rows, load_first_line("test")))
    images = params.data.test
    order = ", whose order is not Kaggle's" if images.startswith("data/mnist/") else ""
    return f"read {len(shares):,} images; wrote {TEST} and {SUBMISSION}, for {images}{order}"
