"""predict: the network's answer for each test image, as a submission and as a table."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from tqdm import tqdm

from digits.data.classes import load_classes
from digits.data.csv_files import writing_table
from digits.data.predictions import TEST, load_first_line, tabulate
from digits.data.submission import SUBMISSION, read_ids, write_submission
from digits.data.tensors import PREPARED, map_pixels, read_pixels
from digits.params import load_params
from digits.recogniser import Recogniser


def answer(recogniser: Recogniser, write: Callable[[pd.DataFrame], None]) -> Iterator[int]:
    """Write a table of the answers, block by block; yield the likeliest class of each image."""
    blocks = read_pixels(PREPARED / "test", recogniser.description.statistics.pixels)
    shown = tqdm(blocks, "predicted", unit=" blocks", leave=False, disable=None, delay=2)
    names, first_line, start = recogniser.description.classes, load_first_line("test"), 0
    for shares in map(recogniser.probabilities, shown):
        rows = np.arange(start, start + len(shares))
        write(tabulate(shares, names, rows, first_line))
        yield from shares.argmax(axis=1).tolist()
        start += len(shares)


def main() -> str:
    """Run the stage; return what it did, in words."""
    params, recogniser, classes = load_params(), Recogniser.load(), load_classes()
    with writing_table(TEST) as write:
        labels = (classes[code] for code in answer(recogniser, write))
        write_submission(SUBMISSION, read_ids(), labels)
    count = len(map_pixels(PREPARED / "test", recogniser.description.statistics.pixels))
    images = params.data.test
    order = ", whose order is not Kaggle's" if images.startswith("data/mnist/") else ""
    return f"read {count:,} images; wrote {TEST} and {SUBMISSION}, for {images}{order}"
