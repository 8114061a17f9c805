from pathlib import Path
from typing import Any

import pytest

from digits.errors import InputError
from digits.network import checkpoint
from digits.network.checkpoint import Checkpoint, identify
from digits.network.training import Labelled, Trainer
from digits.params import Train
from tests.conftest import draw_labelled, tiny_params
from tests.sandbox import CLASSES

CHANGES = {"epochs": 4, "schedule": "one_cycle", "averaging": 0.9, "batch_norm": True}
CHANGES |= {"dropout": 0.2, "augment.rotation": 9, "augment.elastic": 2}
TRAIN = Train(**tiny_params({f"train.{key}": value for key, value in CHANGES.items()})["train"])
KEPT = Checkpoint("0" * 64)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def begin() -> Trainer:
    return Trainer(draw_labelled(95), draw_labelled(30, 1), CLASSES, TRAIN)


def content(trainer: Trainer) -> tuple[Any, ...]:
    """Return all of a training as bytes and numbers, digests among them."""
    numbers = (trainer.descent.values, trainer.descent.momentum, trainer.descent.averages)
    draws = trainer.generator.get_state().tolist()
    return [part.numpy().tobytes() for part in numbers], draws, trainer.history


def test_a_run_that_was_stopped_again_and_again_ends_in_the_same_state() -> None:
    quiet = begin()
    list(quiet.run())
    for stop in (1, 3, 5):
        trainer = begin()
        KEPT.restore(trainer)
        for epoch in trainer.run():
            KEPT.save(trainer)
            if epoch.epoch == stop:
                break
    assert content(trainer) == content(quiet)


def test_half_a_checkpoint_is_an_error() -> None:
    KEPT.save(begin())
    KEPT.path.write_bytes(KEPT.path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"\.checkpoint: .*; expected a whole .*: remove it, and"):
        KEPT.restore(begin())


def test_params_rows_and_the_librarys_code_decide_a_runs_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "__file__", str(tmp_path / "network" / "checkpoint.py"))
    code, rows, images = tmp_path / "exact.py", draw_labelled(9), draw_labelled(9).images
    code.write_text("one")
    images[0, 0] += 1
    names = [
        identify((TRAIN,), rows),
        identify((TRAIN.model_copy(update={"lr": 0.2}),), rows),
        identify((TRAIN,), Labelled(images, rows.labels)),
        identify((TRAIN,), Labelled(rows.images, rows.labels.flip(0))),
    ]
    code.write_text("two")
    assert len({*names, identify((TRAIN,), rows)}) == 5
    code.write_text("one")
    assert identify((TRAIN,), draw_labelled(9)) == names[0]
