from pathlib import Path

import numpy as np

from digits.answers import UNKNOWN, look_up, read_answers, write_answers
from tests.conftest import make_images


def test_labels_are_found_by_exact_pixels(tmp_path: Path) -> None:
    pixels, labels = make_images(9)
    write_answers(tmp_path / "answers.csv", pixels, labels)
    answers = read_answers(tmp_path / "answers.csv")
    assert np.array_equal(look_up(answers, pixels[::-1]), labels[::-1])


def test_a_pixel_that_differs_has_no_answer(tmp_path: Path) -> None:
    pixels, labels = make_images(2)
    write_answers(tmp_path / "answers.csv", pixels, labels)
    pixels[1, 0] ^= 1
    found = look_up(read_answers(tmp_path / "answers.csv"), pixels)
    assert found.tolist() == [labels[0], UNKNOWN]
