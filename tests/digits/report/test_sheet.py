import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from digits.data.answers import digests
from digits.data.tensors import Statistics
from digits.errors import InputError
from digits.evaluation.measures import Predictions
from digits.report import sheet


def test_pictures_lie_row_by_row_in_a_square() -> None:
    pictures = np.arange(150, dtype=np.uint8).repeat(9).reshape(150, 3, 3)
    packed = np.asarray(Image.open(io.BytesIO(sheet.pack(pictures))))
    assert packed.shape == (39, 39)
    for index in (0, 12, 13, 149):
        row, column = divmod(index, 13)
        assert (packed[row * 3 : row * 3 + 3, column * 3 : column * 3 + 3] == index).all()


PICTURES = np.arange(7 * 4, dtype=np.uint8).reshape(7, 2, 2)
PARTS = {
    "validation": sheet.Part(PICTURES[:4], np.array([0, 0, 1, 0]), np.array([12, 10, 13, 11])),
    "training": sheet.Part(PICTURES[4:], np.array([1, 0, 1]), np.array([5, 7, 6])),
}


def test_a_part_has_a_label_and_a_row_for_each_picture(tmp_path: Path) -> None:
    statistics = Statistics(mean=1, std=1, pixels=4, straightened=False)
    arrays: dict[str, Any] = {
        "pixels": PICTURES.reshape(7, 4),
        "labels": np.arange(7) % 2,
        "rows": np.arange(7),
    }
    for short in ("labels", "rows", ""):
        for name, values in arrays.items():
            np.save(tmp_path / name, values[name == short :])
        if short:
            with pytest.raises(InputError, match=rf"{short}.npy: int64 of shape \(6,\)"):
                sheet.load_part(tmp_path, 2, statistics)
    found = sheet.load_part(tmp_path, 2, statistics)
    assert found.pictures.tolist() == PICTURES.tolist()
    assert (found.labels.tolist(), found.rows.tolist()) == ([0, 1] * 3 + [0], list(range(7)))


def doubt(rows: list[int], given: list[int]) -> pd.DataFrame:
    known = {"sha256": list(digests(PICTURES[rows])), "given": given}
    shares = {"now": [0.0004, 0.25, 0.5], "then": [0.9996, 0.75, 0.5]}
    return pd.DataFrame(known).assign(suggested=[1 - label for label in given], **shares)


def test_suspects_are_where_their_image_has_the_label_that_was_in_doubt() -> None:
    suspects = doubt([6, 3, 4], [1, 0, 0])
    found = sheet.locate(suspects, PARTS)
    assert found[["place", "part"]].to_numpy().tolist() == [[2, "training"], [3, "validation"]]
    assert found[[*suspects]].equals(suspects[:2])


def test_mistakes_come_first_then_the_hardest_as_many_as_fit_and_then_other_suspects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    answers = Predictions(PARTS["validation"].labels, shares)
    suspects = sheet.locate(doubt([6, 3, 0], [1, 0, 0]), PARTS)
    assert sheet.lay_out(PARTS, answers, suspects).hard == [1, 2, 0, 3]
    monkeypatch.setattr(sheet, "MOST_PIXELS", 3 * 4 + 3)
    monkeypatch.setattr(sheet, "HARDEST", 1)
    found = sheet.lay_out(PARTS, answers, suspects)
    assert found.images == [
        (0, 1, 11, [[0, 200], [1, 800]]),
        (0, 1, 10, [[0, 400], [1, 600]]),
        (1, 0, 13, [[0, 600], [1, 400]]),
    ]
    assert found.hard == [1]
    assert found.suspects == [
        [3, 1, 0, 6, "training", 0, 1000],
        [0, 0, 1, 11, "validation", 250, 750],
        [4, 0, 1, 12, "validation", 500, 500],
    ]
    assert found.png == sheet.pack(PICTURES[[3, 1, 2, 6, 0]])


def test_of_many_shares_the_ten_largest_are_told_and_of_equal_ones_the_first() -> None:
    rising, even = np.arange(12) / 66, np.full(12, 1 / 12)
    first, second = sheet.largest_shares(np.stack([rising, even]))
    assert first == [[label, round(1000 * label / 66)] for label in range(2, 12)]
    assert second == [[label, 83] for label in range(10)]
