from pathlib import Path

import numpy as np
import pytest

from digits.data.answers import ANSWERS, look_up, read_answers
from digits.data.submission import count_ids, read_submission
from stages import download
from tests.conftest import LABELS, ParamsWriter, read_images
from tests.sandbox import draw_images


def test_every_image_is_dealt_once_with_its_label_by_the_seed_and_has_its_answer(
    project: Path, monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter
) -> None:
    monkeypatch.setattr("stages.download.fetch", lambda *_: draw_images(20))
    contents = []
    for seed in (1, 0, 0):
        write_params({"download.seed": seed})
        assert download.main() == "read MNIST's 20 images; wrote data/mnist"
        contents.append(Path("data/mnist/train.csv").read_bytes())
    assert contents[0] != contents[1] == contents[2]
    labels, train = read_images(Path("data/mnist/train.csv"))
    _, test = read_images(Path("data/mnist/test.csv"))
    solution = read_submission(Path("data/mnist/solution.csv"), count_ids(8), LABELS)
    dealt = {image.tobytes(): int(label) for image, label in zip(train, labels, strict=True)}
    dealt |= {image.tobytes(): label for image, label in zip(test, solution, strict=True)}
    pixels, truth = draw_images(20)
    assert dealt == {image.tobytes(): label for image, label in zip(pixels, truth, strict=True)}
    assert np.array_equal(look_up(read_answers(ANSWERS), pixels, LABELS), truth)
