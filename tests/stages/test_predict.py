from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from digits.errors import InputError
from digits.kaggle import read_submission
from proofs.sandbox import CLASSES, draw_images
from stages import predict, prepare, score, train
from tests.conftest import ParamsWriter


def test_each_test_image_gets_its_label(project: Path, write_params: ParamsWriter) -> None:
    write_params({"train.epochs": 10})
    prepare.main()
    train.main()
    predict.main()
    labels = read_submission(Path("submission.csv"), 12, CLASSES)
    assert np.array_equal(labels, draw_images(12, seed=1)[1])


@pytest.mark.parametrize(
    ("main", "message"),
    [
        (predict.main, "images.npy: no such file; expected what prepare writes"),
        (train.main, "images.npy: no such file; expected what prepare writes"),
        (score.main, "answers.csv: no such file; expected what download writes"),
    ],
)
def test_a_stage_out_of_turn_says_what_is_missing(
    project: Path, main: Callable[[], None], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        main()
