import io
from pathlib import Path

import numpy as np
import pytest
from jinja2 import UndefinedError
from PIL import Image

from digits.evaluation.measures import Predictions
from digits.report import page

SHARES = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])


def test_the_worst_mistakes_come_first_and_then_the_hardest() -> None:
    predictions = Predictions(np.array([0, 0, 1, 0]), SHARES)
    assert page.arrange(predictions).tolist() == [3, 1, 2, 0]


def test_pictures_lie_row_by_row_in_a_square() -> None:
    pictures = np.arange(150, dtype=np.uint8).repeat(9).reshape(150, 3, 3)
    sheet = np.asarray(Image.open(io.BytesIO(page.pack(pictures))))
    assert sheet.shape == (39, 39)
    for index in (0, 12, 13, 149):
        row, column = divmod(index, 13)
        assert (sheet[row * 3 : row * 3 + 3, column * 3 : column * 3 + 3] == index).all()


def test_no_pictures_are_a_picture_as_well() -> None:
    assert Image.open(io.BytesIO(page.pack(np.zeros((0, 3, 3), np.uint8)))).size == (3, 3)


def test_as_many_pictures_stay_as_fit() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (1000, 8, 8), dtype=np.uint8)
    count = page.most_that_fit(pictures, limit=30_000)
    assert 300 < count < 500
    assert len(page.pack(pictures[:count])) <= 30_000
    assert page.most_that_fit(pictures, limit=10**9) == 1000
    assert page.most_that_fit(pictures, limit=1) == 1


def test_shares_are_rounded_to_thousandths() -> None:
    shares = np.array([[0.98765, 0.00049], [1, 0.0005001]])
    assert page.thousandths(shares) == [[988, 0], [1000, 1]]


def test_the_largest_shares_stay_in_the_order_of_their_classes() -> None:
    shares = np.zeros((1, 12))
    shares[0, [11, 3, 7]] = 0.5, 0.3, 0.2
    [found] = page.largest_shares(shares)
    assert len(found) == page.MOST_SHARES
    assert [pair for pair in found if pair[1]] == [[3, 300], [7, 200], [11, 500]]
    assert [label for label, _ in found] == sorted(label for label, _ in found)


def test_a_network_that_is_too_large_stays_out() -> None:
    assert page.encode_network(b"abc") == "YWJj"
    assert page.encode_network(bytes(page.NETWORK_LIMIT + 1)) is None


def test_one_epoch_without_errors_can_be_drawn() -> None:
    assert "<circle" in page.draw_losses([0.0], [0.0])
    assert "<circle" in page.draw_accuracy([1.0])
    assert "<circle" in page.draw_reliability({"as they are": [(1.0, 1.0)], "scaled": [(1, 1)]})


def test_a_page_that_lacks_a_value_is_an_error_and_the_one_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text("before")
    with pytest.raises(UndefinedError):
        page.write_report(path, {"heading": "x"}, b"")
    assert path.read_text() == "before"
