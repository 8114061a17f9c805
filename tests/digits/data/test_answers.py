from pathlib import Path

import numpy as np
import pytest

from digits.data.answers import look_up, read_answers, write_answers
from digits.data.classes import UNKNOWN
from digits.errors import InputError
from tests.conftest import LABELS
from tests.sandbox import draw_images


def test_a_label_of_none_of_the_classes_is_no_answer(tmp_path: Path) -> None:
    pixels, labels = draw_images(3)
    write_answers(tmp_path / "answers.csv", pixels, labels)
    found = look_up(read_answers(tmp_path / "answers.csv"), pixels, ("2", "one", "zero"))
    assert found.tolist() == [UNKNOWN, UNKNOWN, 0]


def test_labels_are_found_by_exact_pixels(tmp_path: Path) -> None:
    pixels, labels = draw_images(9)
    write_answers(tmp_path / "answers.csv", pixels, labels)
    answers = read_answers(tmp_path / "answers.csv")
    assert np.array_equal(look_up(answers, pixels[::-1], LABELS), labels[::-1])


def test_a_pixel_that_differs_has_no_answer(tmp_path: Path) -> None:
    pixels, labels = draw_images(2)
    write_answers(tmp_path / "answers.csv", pixels, labels)
    pixels[1, 0] ^= 1
    found = look_up(read_answers(tmp_path / "answers.csv"), pixels, LABELS)
    assert found.tolist() == [labels[0], UNKNOWN]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "No columns"),
        (b"label,digest\n" + b"a" * 64 + b",1\n", "1 rows of"),
        (b"sha256,label\n" + b"a" * 64 + b",-1\n", "row 2: no SHA-256 and label"),
        (b"sha256,label\n" + b"a" * 64 + b",1\n" + b"a" * 63 + b",1\n", "row 3: no SHA-256 and"),
        (b"sha256,label\n\n", "row 2: "),
        (b"sha256,label\n\xff\n", "utf-8"),
    ],
)
def test_a_table_that_download_did_not_write_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "answers.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"answers\.csv: .*{message}") as error:
        read_answers(path)
    assert "\n" not in str(error.value)
