"""Sets of other images than digits from 0 to 9, from their CSV files to the page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from digits.data.answers import ANSWERS, write_answers
from digits.evaluation.label_errors import SUSPECTS, write_suspects
from stages import evaluate, predict, prepare, report, score, train
from tests.conftest import ParamsWriter

LETTERS = list("abcdefghiklmnopqrstuvwxy")  # as in Sign Language MNIST: j and z are movements
SETS: dict[str, tuple[list[str], str, str]] = {
    # The labels, the header of the test file before the pixels, and that of the submission.
    "Kannada": ([str(digit) for digit in range(10)], "id", "id,label"),
    "Sign Language": ([str(k) for k in range(25) if k != 9], "label", "ImageId,Label"),
    "letters": (LETTERS, "", "ImageId,Label"),
}


def draw(labels: list[str], rows: int, seed: int) -> tuple[list[str], NDArray[np.uint8]]:
    """Draw images of 5 x 5 pixels, each with a bright one whose place is that of its label."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 60, (rows, 25), dtype=np.uint8)
    classes = np.arange(rows) % len(labels)
    pixels[np.arange(rows), classes] = 255
    return [labels[place] for place in classes], pixels


@pytest.mark.parametrize("name", SETS)
def test_a_set_goes_from_its_files_to_a_submission_in_its_form(
    project: Path, write_params: ParamsWriter, name: str
) -> None:
    labels, more, header = SETS[name]
    given, pixels = draw(labels, 480, seed=0)
    names = [f"pixel{k}" for k in range(25)]
    pd.DataFrame(pixels, columns=names).assign(label=given).to_csv("train.csv", index=False)
    truth, unlabelled = draw(labels, 48, seed=1)
    test = pd.DataFrame(unlabelled, columns=names)
    ids = [str(5 * k % 48) for k in range(48)] if more == "id" else range(1, 49)
    if more:
        test.insert(0, more, ids if more == "id" else truth)
    test.to_csv("test.csv", index=False)
    write_params({"train.epochs": 20, "train.widths": [32], "prepare.validation": 96})
    write_answers(ANSWERS, pixels[:0], np.zeros(0, np.int64))
    write_suspects(SUSPECTS, [], ())
    for stage in (prepare, train, evaluate, predict, score, report):
        stage.main()
    found = pd.read_csv("submission.csv", dtype=str)
    assert list(found) == header.split(",")
    assert found.iloc[:, 0].tolist() == list(map(str, ids))
    assert (found.iloc[:, 1] == truth).mean() > 0.9
    matrix = json.loads(Path("metrics/confusion_matrix.json").read_text())
    assert matrix["rows"] == [f"actual {label}" for label in labels]
    scored = json.loads(Path("metrics/score.json").read_text())
    assert scored["rows"] == (48 if more == "label" else 0)
    assert f'"names": {json.dumps(labels)}' in Path("report/index.html").read_text()
