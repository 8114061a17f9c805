import json
from pathlib import Path

import pandas as pd
import pytest

from digits.data.answers import ANSWERS, write_answers
from digits.data.classes import CLASSES, save_classes
from digits.data.csv_files import write_table
from digits.data.image_table import write_images
from digits.data.submission import IDS, count_ids, write_submission
from digits.errors import InputError
from stages import score
from tests.sandbox import draw_images

RIGHT, UNANSWERED = "accuracy 0.75000 (95 % interval 0.46769 to 0.91106)", "rows without an answer"
PIXELS, LABELS = draw_images(12, seed=1)


def run(answered: int, predicted: list[int]) -> tuple[str, dict[str, object]]:
    """Return what score tells and writes, given answers for the first images."""
    ANSWERS.parent.mkdir(parents=True, exist_ok=True)
    write_answers(ANSWERS, PIXELS[:answered], LABELS[:answered])
    save_classes(CLASSES, ("0", "1", "2"))
    write_table(IDS, pd.concat(count_ids(12)).to_frame())
    write_submission(Path("submission.csv"), count_ids(len(predicted)), map(str, predicted))
    told = score.main()
    written: dict[str, object] = json.loads(score.METRICS.read_text())
    return told, written


@pytest.mark.parametrize(
    ("answered", "told", "written"),
    [
        (12, f"{RIGHT} on 12 rows", {"accuracy": 0.75, "errors": 3, "rows": 12}),
        (
            4,
            f"accuracy 0.25000 (95 % interval 0.04559 to 0.69936) on 4 rows; 8 {UNANSWERED}",
            {"accuracy": 0.25, "errors": 3, "rows": 4, "rows_without_answer": 8},
        ),
        (0, f"no score; 12 {UNANSWERED}", {"rows": 0, "rows_without_answer": 12}),
    ],
)
def test_accuracy_is_the_share_of_right_rows_among_those_with_an_answer(
    project: Path, answered: int, told: str, written: dict[str, object]
) -> None:
    predicted = [*((LABELS[:3] + 1) % 3), *LABELS[3:]]
    assert run(answered, predicted) == (
        f"read submission.csv; {told}; wrote metrics/score.json",
        written,
    )


def test_images_that_bring_their_labels_are_scored_against_these(project: Path) -> None:
    write_images(Path("test.csv"), PIXELS, (LABELS + 1) % 3)
    assert run(12, LABELS.tolist())[1] == {"accuracy": 0, "errors": 12, "rows": 12}
    write_images(Path("test.csv"), PIXELS, LABELS + 1)
    with pytest.raises(InputError, match=r"test.csv: row 4, column 1 \(label\): '3'; expected one"):
        score.main()
