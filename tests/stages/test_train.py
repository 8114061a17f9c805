import json
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from digits.data.tensors import IMAGES, PREPARED
from digits.errors import InputError
from digits.network.checkpoint import Checkpoint
from digits.network.model import MODEL, Weights, encode, load_model
from digits.network.training import Epoch, Trainer
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
        said = train.main()
        assert said.startswith(f"read {told}, 3 times, on ")
        assert said.endswith(f"; wrote {MODEL}")
        assert "workers" not in said


def test_workers_that_are_asked_for_are_started_but_no_more_than_a_batch_has_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[object, ...]] = []
    monkeypatch.setattr(train, "start", lambda *found: started.append(found))
    monkeypatch.setattr(train, "asked", lambda: 10)
    assert train.main() == "trained in workers, 10 of them on this machine"
    assert started == [(10, "stages", "train")]
    monkeypatch.setattr(train, "asked", lambda: 11)
    with pytest.raises(InputError, match="11 workers, and 10 rows in a batch"):
        train.main()
    assert len(started) == 1


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
    assert "\nnetwork 2 of 2, with seed 6\n      " in capsys.readouterr().out


def test_the_table_the_curves_and_the_metrics_agree(
    monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    write_params({"train.lr": 5.0})  # so high that epochs make it worse
    train.main()
    curves, columns = pd.read_csv(train.CURVES), list(train.MEASURES)
    digests = ["weights_sha256", "draws_sha256", "data_sha256"]
    assert list(curves) == ["epoch", "minimised_loss", *columns, *digests]
    assert read_metrics() == dict(curves[columns].iloc[-1])
    header, *rows = capsys.readouterr().out.splitlines()
    titles = ["training loss", "validation loss", "accuracy", "best so far"]
    assert (header.strip().split("  "), len(header)) == (titles, 73)
    numbers, *cells = zip(*(row.rsplit(maxsplit=4) for row in rows), strict=True)
    assert [one.strip() for one in numbers] == [f"epoch {one} of 3" for one in (1, 2, 3)]
    best = curves["validation_accuracy"].cummax()
    assert best.iloc[-1] > curves["validation_accuracy"].iloc[-1]
    for found, expected in zip(cells, (*(curves[name] for name in columns), best), strict=True):
        assert [*map(float, found)] == pytest.approx(expected.tolist(), abs=1e-4)


def test_where_no_one_watches_rows_come_a_minute_apart_but_the_first_and_the_last(
    monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params({"train.epochs": 8})
    clock = [0.0]
    monkeypatch.setattr(train, "monotonic", lambda: clock[0])
    monkeypatch.setattr(Checkpoint, "save", lambda *_: clock.__setitem__(0, clock[0] + 16))
    train.main()
    rows = re.findall(r"epoch (\d) of 8 ", capsys.readouterr().out)
    assert rows == ["1", "5", "8"]


def test_within_an_epoch_training_is_kept_every_five_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, saved, take_step = [0.0], list[float](), Trainer.take_step

    def take_100_seconds(*found: Any) -> torch.Tensor:
        clock[0] += 100
        return take_step(*found)

    monkeypatch.setattr("digits.network.training.ROWS", 10)  # a batch
    monkeypatch.setattr(Trainer, "take_step", take_100_seconds)
    monkeypatch.setattr(train, "monotonic", lambda: clock[0])
    monkeypatch.setattr(Checkpoint, "save", lambda *_: saved.append(clock[0]))
    train.main()
    assert saved == [300, 600, 900, 1200, 1500, 1800]


def test_curves_and_metrics_grow_while_it_trains(
    monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter
) -> None:
    write_params({"train.networks": 2})
    grown: list[int] = []

    def look(*_: object) -> None:
        if train.METRICS.exists():
            curves = pd.read_csv(train.CURVES)
            assert curves["training_loss"].iloc[-1] == read_metrics()["training_loss"]
            grown.append(len(curves))

    monkeypatch.setattr(train, "print_row", look)
    monkeypatch.setattr(train, "APART", 0)
    train.main()
    assert grown == [1, 2, 3, 1, 2]


def test_a_loss_that_is_not_finite_writes_no_model(write_params: ParamsWriter) -> None:
    write_params({"train.lr": 1e20})
    with pytest.raises(InputError, match=r"train\.lr: the loss is nan in epoch 1; expected a smal"):
        train.main()
    assert not any(path.exists() for path in OUTPUTS)


def test_images_that_prepare_did_not_write_are_not_trained_on(write_params: ParamsWriter) -> None:
    for rows in ("all", "train"):
        write_params({"train.rows": rows})
        train.main()
    images = IMAGES.read_bytes()
    for place in (-1, -33 * 16 * 4):  # of the validation and of the training rows
        changed = bytearray(images)
        changed[place] ^= 1
        IMAGES.write_bytes(changed)
        with pytest.raises(InputError, match=r"images\.npy: not the rows that prepare wrote"):
            train.main()


class Killed(BaseException):
    pass


def die_in(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until a network is in an epoch, or else until the networks are to be saved."""

    def die(found: Sequence[Epoch | Weights], *_: object) -> None:
        if not isinstance(found[-1], Epoch) or found[-1].epoch == epoch:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train, "print_row", die)
        patch.setattr(train, "save_model", die)
        train.main()


def test_a_run_that_is_killed_goes_on_and_ends_in_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "APART", 0)
    train.main()
    expected, (header, _, *rows) = read_outputs(), capsys.readouterr().out.splitlines()
    for path in OUTPUTS:
        path.unlink()
    die_in(3, monkeypatch)
    capsys.readouterr()
    train.main()
    assert read_outputs() == expected
    first = "train: goes on after epoch 2"
    assert capsys.readouterr().out.splitlines() == [first, header, *rows]
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


def test_a_run_with_other_validation_rows_starts_anew(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    die_in(99, monkeypatch)
    held_out = np.load(PREPARED / "validation" / "rows.npy")[0]
    path = project / "train.csv"
    lines = path.read_text().splitlines()
    lines[1 + held_out] = lines[1 + held_out].rpartition(",")[0] + ",77"
    path.write_text("\n".join(lines))
    prepare.main()
    train.main()
    assert "goes on" not in capsys.readouterr().out


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
