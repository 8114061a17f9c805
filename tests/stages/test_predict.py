import json
import tracemalloc
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from digits.data.image_table import write_images
from digits.data.predictions import TEST
from digits.data.submission import read_ids, read_submission
from digits.data.tensors import PREPARED, Statistics, map_labels
from digits.errors import InputError
from digits.evaluation.measures import negative_log_likelihood
from digits.exact import log_softmax
from digits.network.inference import infer
from digits.network.model import MLP, MODEL, load_model
from digits.params import load_params
from stages import evaluate, predict, prepare, score, train
from tests.conftest import LABELS, ParamsWriter
from tests.sandbox import CLASSES, draw_images


def test_what_is_answered_is_averaged_over_views(project: Path, write_params: ParamsWriter) -> None:
    write_params({"train.epochs": 1, "train.lr": 0.01, "predict.shear": 0.1})
    for stage in (prepare, train, evaluate, predict):
        stage.main()
    networks, log_probabilities = [*map(MLP.of, load_model(MODEL, 16, CLASSES))], []
    normalise = Statistics.load(PREPARED / "statistics.json").normalise
    for part in ("test", "validation"):
        images = normalise(np.load(PREPARED / part / "pixels.npy"))
        log_probabilities.append(log_softmax(infer(networks, images, load_params().predict)))
    labels = read_submission(Path("submission.csv"), read_ids(), LABELS)
    assert np.array_equal(labels, log_probabilities[0].argmax(axis=1))
    found = json.loads(Path("metrics/evaluation.json").read_text())["negative_log_likelihood"]
    actual = map_labels(PREPARED / "validation", CLASSES)
    assert found == negative_log_likelihood(log_probabilities[1], actual)


@pytest.mark.parametrize("stage", [predict, train, score])
def test_a_stage_out_of_turn_says_what_is_missing(project: Path, stage: ModuleType) -> None:
    with pytest.raises(InputError, match=r"\w: no such file; expected what"):
        stage.main()


def test_the_table_has_the_answers_of_the_submission_and_the_line_says_whose_order_it_is(
    project: Path, write_params: ParamsWriter
) -> None:
    for stage in (prepare, train, evaluate):
        stage.main()
    written = "data/predictions/test.csv and submission.csv"
    assert predict.main() == f"read 12 images; wrote {written}, for test.csv"
    table, submitted = pd.read_csv(TEST), pd.read_csv("submission.csv")
    assert table["prediction"].tolist() == submitted["Label"].tolist()
    assert table["row_index"].tolist() == list(range(12))
    assert table["line"].tolist() == list(range(2, 14))
    write_params({"data.test": "data/mnist/test.csv"})
    assert predict.main().endswith("for data/mnist/test.csv, whose order is not Kaggle's")


def test_ten_times_the_images_need_nowhere_near_ten_times_the_memory(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in (prepare, train, evaluate):
        stage.main()
    for module in ("tensors", "submission"):
        monkeypatch.setattr(f"digits.data.{module}.BLOCK", 100)
    peaks = []
    for rows in (1000, 10_000):
        write_images(Path("test.csv"), draw_images(rows)[0])
        prepare.main()
        tracemalloc.start()
        predict.main()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert pd.read_csv(TEST)["row_index"].tolist() == list(range(10_000))
    assert peaks[1] < 1.5 * peaks[0]
