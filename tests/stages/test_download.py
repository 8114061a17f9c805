from pathlib import Path

import numpy as np
import pytest

from digits.data.answers import ANSWERS, look_up, read_answers
from digits.data.submission import count_ids, read_submission
from stages import download
from tests.conftest import LABELS, ParamsWriter, read_images
from tests.sandbox import draw_images


@pytest.fixture
def images(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.download.fetch", lambda *_: draw_images(20))


@pytest.mark.usefixtures("images")
def test_every_image_is_dealt_once_with_its_label_and_has_its_answer() -> None:
    download.main()
    labels, train = read_images(Path("data/mnist/train.csv"))
    _, test = read_images(Path("data/mnist/test.csv"))
    solution = read_submission(Path("data/mnist/solution.csv"), count_ids(8), LABELS)
    dealt = {image.tobytes(): int(label) for image, label in zip(train, labels, strict=True)}
    dealt |= {image.tobytes(): label for image, label in zip(test, solution, strict=True)}
    pixels, truth = draw_images(20)
    assert dealt == {image.tobytes(): label for image, label in zip(pixels, truth, strict=True)}
    assert np.array_equal(look_up(read_answers(ANSWERS), pixels, LABELS), truth)


@pytest.mark.usefixtures("images")
def test_the_seed_deals(write_params: ParamsWriter) -> None:
    contents = set()
    for seed in (0, 0, 1):
        write_params({"download.seed": seed})
        download.main()
        contents.add(Path("data/mnist/train.csv").read_bytes())
    assert len(contents) == 2
