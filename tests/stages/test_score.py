import json
from pathlib import Path

import numpy as np
import pytest

from digits.data.answers import ANSWERS, write_answers
from digits.data.classes import CLASSES, save_classes
from digits.data.csv_files import write_table
from digits.data.image_table import write_images
from digits.data.submission import IDS, count_ids, write_submission
from digits.errors import InputError
from digits.evaluation.measures import wilson_interval
from stages import score
from tests.sandbox import draw_images

NAMES = ("0", "1", "2")
PIXELS, LABELS = draw_images(12, seed=1)


def run(answered: slice, predicted: list[int]) -> dict[str, object]:
    ANSWERS.parent.mkdir(parents=True)
    write_answers(ANSWERS, PIXELS[answered], LABELS[answered])
    CLASSES.parent.mkdir()
    save_classes(CLASSES, NAMES)
    write_table(IDS, [count_ids(12).to_frame()])
    write_submission(Path("submission.csv"), count_ids(len(predicted)), map(str, predicted))
    score.main()
    written: dict[str, object] = json.loads(score.METRICS.read_text())
    return written


def test_accuracy_is_the_share_of_right_rows_with_its_interval(project: Path) -> None:
    predicted = LABELS.copy()
    predicted[:3] = (predicted[:3] + 1) % 3
    low, high = wilson_interval(9, 12)
    assert run(slice(None), predicted.tolist()) == {
        "rows": 12,
        "rows_without_answer": 0,
        "errors": 3,
        "accuracy": 0.75,
        "interval_95": {"low": low, "high": high},
    }
    assert score.main() == (
        "read submission.csv; accuracy 0.75000 (95 % interval 0.46769 to 0.91106) on 12 rows; "
        "0 rows without an answer; wrote metrics/score.json"
    )


def test_rows_without_an_answer_are_counted_and_no_part_of_the_accuracy(project: Path) -> None:
    found = run(slice(0, 8), LABELS.tolist())
    assert found["rows"] == 8
    assert found["rows_without_answer"] == 4
    assert found["accuracy"] == 1


def test_images_that_bring_their_labels_are_scored_against_these(project: Path) -> None:
    write_images(Path("test.csv"), PIXELS, (LABELS + 1) % 3)
    found = run(slice(None), LABELS.tolist())
    assert (found["rows"], found["errors"]) == (12, 12)
    write_images(Path("test.csv"), PIXELS, LABELS + 1)
    with pytest.raises(
        InputError, match=r"test.csv: row \d+, column 1 \(label\): '3'; expected one"
    ):
        score.main()


def test_other_images_have_no_score(project: Path) -> None:
    assert run(slice(0, 0), LABELS.tolist()) == {
        "rows": 0,
        "rows_without_answer": 12,
        "errors": 0,
    }
    assert "; no score; 12 rows without an answer; " in score.main()


def test_a_submission_of_another_length_is_refused(project: Path) -> None:
    with pytest.raises(InputError, match=r"submission.csv: row 4: the last of 3; expected 12"):
        run(slice(None), np.zeros(3, int).tolist())
    assert not score.METRICS.exists()
