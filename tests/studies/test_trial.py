import hashlib
import json
from pathlib import Path

import numpy as np

import stages.evaluate
import stages.prepare
import stages.train
from digits.data.classes import UNKNOWN
from digits.data.tensors import PREPARED, map_labelled
from digits.network.model import MODEL
from digits.params import Params, load_params
from studies.trial import Fit, Rows, judge, train_network
from tests.conftest import ParamsWriter
from tests.sandbox import CLASSES, draw_images


def load_rows(truth: list[int]) -> Rows:
    """Return the prepared rows, dealt to three folds, the last of which is the validation rows."""
    parts = [map_labelled(PREPARED / name, CLASSES) for name in ("train", "validation")]
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    test = np.load(PREPARED / "test" / "images.npy")[: len(truth)]
    return Rows(images, labels, CLASSES, np.arange(90) // 30, test, np.array(truth, dtype=np.int64))


def train(params: Params, fold: int, rows: Rows) -> Fit:
    found = train_network(params, fold, rows)
    assert isinstance(found, Fit)
    return found


def test_the_validation_rows_held_out_give_what_the_stages_give(
    project: Path, write_params: ParamsWriter
) -> None:
    changes = {"train.epochs": 1, "train.lr": 0.02, "train.seed": 3, "predict.shift": 1}
    write_params({**changes, "train.networks": 2})
    stages.prepare.main()
    stages.train.main()
    stages.evaluate.main()
    evaluation = json.loads(Path("metrics/evaluation.json").read_text())
    rows = load_rows([])
    params = [load_params(changes={"train.seed": seed, "train.networks": 1}) for seed in (3, 4)]
    fits = [train(one, 2, rows) for one in params]
    result, shares = judge(load_params(), 2, fits, rows)
    assert result.network == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert result.rows == 30
    assert result.errors == evaluation["errors"]
    assert result.accuracy == evaluation["accuracy"]
    assert result.negative_log_likelihood == evaluation["negative_log_likelihood"]
    assert result.seconds == fits[0].seconds + fits[1].seconds > 0
    assert (result.test_rows, result.test_errors) == (0, 0)
    assert shares.shape == (30, CLASSES)
    assert (shares.argmax(axis=1) != rows.labels[60:]).sum() == result.errors


def test_each_fold_and_each_seed_is_another_training(project: Path) -> None:
    stages.prepare.main()
    rows = load_rows([])
    networks = set()
    for seed in (0, 1):
        params = load_params(changes={"train.seed": seed})
        for fold in (0, 1):
            networks.add(judge(params, fold, [train(params, fold, rows)], rows)[0].network)
    assert len(networks) == 4


def test_test_images_without_an_answer_are_not_counted(
    project: Path, write_params: ParamsWriter
) -> None:
    write_params({"train.epochs": 10})
    stages.prepare.main()
    truth = draw_images(12, seed=1)[1].tolist()
    truth[3] = UNKNOWN
    truth[5] = (truth[5] + 1) % CLASSES
    rows, params = load_rows(truth), load_params()
    result, _ = judge(params, 2, [train(params, 2, rows)], rows)
    assert (result.test_rows, result.test_errors) == (11, 1)


def test_arrays_that_cannot_be_written_to_are_rows_too(project: Path) -> None:
    stages.prepare.main()
    rows = load_rows([0, 1])
    for array in (rows.images, rows.labels, rows.folds, rows.test, rows.truth):
        array.flags.writeable = False
    assert judge(load_params(), 0, [train(load_params(), 0, rows)], rows)[0].test_rows == 2
