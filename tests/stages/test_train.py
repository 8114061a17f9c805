import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from digits.errors import InputError
from digits.network.model import MODEL, Weights, encode, load_model
from digits.network.training import Epoch
from stages import prepare, train
from tests.conftest import ParamsWriter

OUTPUTS = (MODEL, train.METRICS, train.CURVES)

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture
def prepared(project: Path) -> None:
    prepare.main()


def read_outputs() -> list[bytes]:
    return [path.read_bytes() for path in OUTPUTS]


def read_metrics() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(train.METRICS.read_text())
    return found


def test_all_rows_are_the_training_and_the_validation_rows(write_params: ParamsWriter) -> None:
    for rows, told in (("train", "60 rows"), ("all", "90 rows (the validation rows among them)")):
        write_params({"train.rows": rows})
        assert train.main().startswith(f"read {told}, 3 times, on ")


def test_several_networks_are_those_of_the_seeds_and_their_metrics_are_the_mean(
    write_params: ParamsWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    alone, metrics, curves = list[Any](), [], []
    for seed in (5, 6):
        write_params({"train.seed": seed})
        train.main()
        alone.append(load_model(MODEL, 16, 3)[0])
        metrics.append(read_metrics())
        curves.append(pd.read_csv(train.CURVES, dtype=str))
    write_params({"train.seed": 5, "train.networks": 2})
    train.main()
    assert MODEL.read_bytes() == encode(alone)
    assert read_metrics() == pytest.approx(pd.DataFrame(metrics).mean().to_dict())
    found, (first, second) = pd.read_csv(train.CURVES, dtype=str), curves
    for name in ("weights_sha256", "draws_sha256", "data_sha256"):
        digests = [sha256(both.encode()).hexdigest()[:12] for both in first[name] + second[name]]
        assert found[name].tolist() == digests
    assert list(Path("models").iterdir()) == [MODEL]
    assert "\nnetwork 2 of 2, with seed 6\nepoch " in capsys.readouterr().out


def test_the_table_the_curves_and_the_metrics_agree(capsys: pytest.CaptureFixture[str]) -> None:
    train.main()
    curves = pd.read_csv(train.CURVES)
    columns = ["epoch", *train.MEASURES]
    assert list(curves) == [*columns, "weights_sha256", "draws_sha256", "data_sha256"]
    assert read_metrics() == dict(curves[columns[1:]].iloc[-1])
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split("  ") == ["epoch", "training loss", "validation loss", "accuracy"]
    printed = np.array([[float(cell) for cell in row.split()] for row in rows])
    assert printed == pytest.approx(curves[columns].to_numpy(), abs=1e-4)
    assert printed[:, 0].tolist() == [1, 2, 3]


def test_curves_and_metrics_grow_while_it_trains(
    monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter
) -> None:
    write_params({"train.networks": 2})
    grown: list[int] = []

    def look(_: Epoch) -> None:
        if train.METRICS.exists():
            curves = pd.read_csv(train.CURVES)
            assert curves["training_loss"].iloc[-1] == read_metrics()["training_loss"]
            grown.append(len(curves))

    monkeypatch.setattr(train, "print_row", look)
    train.main()
    assert grown == [1, 2, 3, 1, 2]


def test_a_loss_that_is_not_finite_writes_no_model(write_params: ParamsWriter) -> None:
    write_params({"train.lr": 1e20})
    with pytest.raises(InputError, match=r"train\.lr: the loss is nan in epoch 1; expected a smal"):
        train.main()
    assert not any(path.exists() for path in OUTPUTS)


class Killed(BaseException):
    pass


def die_in(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until a network is in an epoch, or else until the networks are to be saved."""

    def die(one: Epoch | list[Weights], *_: Path) -> None:
        if isinstance(one, list) or one.epoch == epoch:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train, "print_row", die)
        patch.setattr(train, "save_model", die)
        train.main()


def test_a_run_that_is_killed_goes_on_and_ends_in_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train.main()
    expected, quiet = read_outputs(), capsys.readouterr().out
    for path in OUTPUTS:
        path.unlink()
    die_in(3, monkeypatch)
    [checkpoint] = Path("models").iterdir()
    capsys.readouterr()
    train.main()
    assert read_outputs() == expected
    assert capsys.readouterr().out == f"train: goes on after epoch 2, from {checkpoint}\n{quiet}"
    assert list(Path("models").iterdir()) == [MODEL]


def test_networks_that_were_trained_before_a_kill_are_not_trained_again_but_with_other_params(
    monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params({"train.networks": 2})
    die_in(99, monkeypatch)
    for changes, going_on in (({"train.momentum": 0.5}, 0), ({}, 2)):
        write_params({"train.networks": 2, **changes})
        train.main()
        assert capsys.readouterr().out.count("train: goes on after epoch 3") == going_on
    assert list(Path("models").iterdir()) == [MODEL]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_gives_the_bytes_of_the_cpu_and_goes_on_where_one_stopped(
    monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"batch_norm": True, "dropout": 0.2, "hidden_noise": 0.1, "averaging": 0.9}
    changes |= {"nesterov": True, "augment.rotation": 9.0, "augment.elastic": 2.0}
    write_params({f"train.{key}": value for key, value in changes.items()})
    torch.set_float32_matmul_precision("medium")  # as some containers ask for it
    made = []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("DIGITS_DEVICE", device)
        train.main()
        made.append(read_outputs())
    monkeypatch.setenv("DIGITS_DEVICE", "cpu")
    die_in(3, monkeypatch)
    monkeypatch.setenv("DIGITS_DEVICE", "cuda")
    train.main()
    assert "goes on after epoch 2" in capsys.readouterr().out
    assert made[0] == made[1] == read_outputs()
