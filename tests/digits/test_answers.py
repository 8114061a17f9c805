from pathlib import Path

import numpy as np
import pytest

from digits.answers import UNKNOWN, look_up, read_answers, write_answers
from digits.errors import InputError
from proofs.sandbox import draw_images


def test_labels_are_found_by_exact_pixels(tmp_path: Path) -> None:
    pixels, labels = draw_images(9)
    write_answers(tmp_path / "answers.csv", pixels, labels)
    answers = read_answers(tmp_path / "answers.csv")
    assert np.array_equal(look_up(answers, pixels[::-1]), labels[::-1])


def test_a_pixel_that_differs_has_no_answer(tmp_path: Path) -> None:
    pixels, labels = draw_images(2)
    write_answers(tmp_path / "answers.csv", pixels, labels)
    pixels[1, 0] ^= 1
    found = look_up(read_answers(tmp_path / "answers.csv"), pixels)
    assert found.tolist() == [labels[0], UNKNOWN]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not the table 'sha256,label'"),
        (b"label,sha256\n", "not the table"),
        (b"sha256,label\n" + b"a" * 64 + b",1", "not the table"),
        (b"sha256,label\n" + b"a" * 64 + b",-1\n", "row 2: 'aaa"),
        (b"sha256,label\n" + b"a" * 64 + b",1\n" + b"a" * 63 + b",1\n", "row 3: 'aaa"),
        (b"sha256,label\n\n", "row 2: ''; expected a SHA-256 and a label"),
        (b"sha256,label\n\xff\n", "ascii"),
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
