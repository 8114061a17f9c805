import io

import numpy as np
import pandas as pd
from PIL import Image

from digits.data.answers import digests
from digits.data.tensors import Statistics
from digits.evaluation.label_errors import Suspect
from digits.evaluation.measures import Predictions
from digits.report import sheet


def test_the_worst_mistakes_come_first_and_then_the_hardest() -> None:
    shares = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    predictions = Predictions(np.array([0, 0, 1, 0]), shares)
    assert sheet.sort_rows(predictions).tolist() == [3, 1, 2, 0]


def test_suspects_are_found_in_their_order_by_their_pixels_while_their_label_stays() -> None:
    pixels = np.arange(4, dtype=np.uint8)[:, np.newaxis]
    a, b, _, d = digests(pixels)
    suspects = [Suspect(d, 1, 0, 0.1, 0.9), Suspect(b, 0, 2, 0.1, 0.9), Suspect(a, 1, 2, 0.1, 0.9)]
    parts = {
        name: sheet.Part(pixels[rows].astype(np.float32), np.array(labels), np.array(rows))
        for name, rows, labels in (("training", [0, 1, 3], [1, 1, 1]), ("validation", [3], [1]))
    }
    found = sheet.locate(pd.DataFrame(suspects), parts, Statistics(mean=0, std=1, pixels=1))
    places = found[["sha256", "part", "place"]].to_numpy().tolist()
    assert places == [[d, "training", 2], [d, "validation", 0], [a, "training", 0]]


def test_pictures_lie_row_by_row_in_a_square() -> None:
    pictures = np.arange(150, dtype=np.uint8).repeat(9).reshape(150, 3, 3)
    packed = np.asarray(Image.open(io.BytesIO(sheet.pack(pictures))))
    assert packed.shape == (39, 39)
    for index in (0, 12, 13, 149):
        row, column = divmod(index, 13)
        assert (packed[row * 3 : row * 3 + 3, column * 3 : column * 3 + 3] == index).all()


def test_as_many_pictures_stay_as_fit() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (1000, 8, 8), dtype=np.uint8)
    count = sheet.most_that_fit(pictures, limit=30_000)
    assert 300 < count < 500
    assert len(sheet.pack(pictures[:count])) <= 30_000
    assert sheet.most_that_fit(pictures, limit=10**9) == 1000
    assert sheet.most_that_fit(pictures, limit=1) == 1


def test_the_largest_shares_are_rounded_and_stay_in_the_order_of_their_classes() -> None:
    shares = np.zeros((1, 12))
    shares[0, [11, 3, 7]] = 0.49951, 0.3, 0.20049
    [found] = sheet.largest_shares(shares)
    assert len(found) == sheet.MOST_SHARES
    assert [pair for pair in found if pair[1]] == [[3, 300], [7, 200], [11, 500]]
    assert [label for label, _ in found] == sorted(label for label, _ in found)
