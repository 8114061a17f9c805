from pathlib import Path

from digits.data.answers import look_up, read_answers, write_answers
from digits.data.classes import UNKNOWN
from tests.conftest import LABELS
from tests.sandbox import draw_images


def test_labels_are_found_by_exact_pixels_and_others_are_unknown(tmp_path: Path) -> None:
    pixels, labels = draw_images(9)
    write_answers(tmp_path / "answers.csv", pixels, labels)
    answers = read_answers(tmp_path / "answers.csv")
    pixels[1, 0] ^= 1
    expected = labels.tolist()
    expected[1] = UNKNOWN
    assert look_up(answers, pixels[::-1], LABELS).tolist() == expected[::-1]
    assert look_up(answers, pixels[:3], ("2", "zero")).tolist() == [UNKNOWN, UNKNOWN, 0]
