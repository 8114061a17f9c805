import io

import numpy as np
from PIL import Image

from digits.evaluation.measures import Predictions
from digits.report import sheet


def test_the_worst_mistakes_come_first_and_then_the_hardest() -> None:
    shares = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    predictions = Predictions(np.array([0, 0, 1, 0]), shares)
    assert sheet.sort_rows(predictions).tolist() == [3, 1, 2, 0]


def test_pictures_lie_row_by_row_in_a_square() -> None:
    pictures = np.arange(150, dtype=np.uint8).repeat(9).reshape(150, 3, 3)
    packed = np.asarray(Image.open(io.BytesIO(sheet.pack(pictures))))
    assert packed.shape == (39, 39)
    for index in (0, 12, 13, 149):
        row, column = divmod(index, 13)
        assert (packed[row * 3 : row * 3 + 3, column * 3 : column * 3 + 3] == index).all()
