from pathlib import Path
from typing import Any

import pytest

from digits.errors import InputError
from digits.network import checkpoint, training
from digits.network.checkpoint import Checkpoint, identify
from digits.network.training import Labelled, Trainer
from digits.network.workers import ALONE, Workers
from digits.params import Augment, Train, load_params
from tests.conftest import draw_labelled
from tests.digits.network.test_workers import together
from tests.sandbox import CLASSES


@pytest.fixture
def train(project: Path) -> Train:
    return load_params().train


def begin(train: Train, workers: Workers = ALONE) -> Trainer:
    def own(rows: Labelled) -> Labelled:
        return rows.shard(workers)

    return Trainer(own(draw_labelled(95)), own(draw_labelled(30, 1)), CLASSES, train, workers)


def content(trainer: Trainer) -> tuple[Any, ...]:
    """Return all of a training as bytes and numbers, digests among them."""
    numbers = (trainer.descent.values, trainer.descent.momentum, trainer.descent.averages)
    draws = trainer.generator.get_state().tolist()
    return [part.numpy().tobytes() for part in numbers], draws, trainer.history


@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.0},
        {"averaging": 0.9, "batch_norm": True, "dropout": 0.2, "input_noise": 0.1},
        {"augment": Augment(rotation=9, scale=0.1, shear=0, shift=1, elastic=2, smoothness=1)},
    ],
    ids=["plain", "regularised", "augmented"],
)
@pytest.mark.parametrize("stops", [[4], [1, 2, 3]], ids=str)
def test_a_run_that_was_stopped_ends_in_the_same_state(
    train: Train,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    stops: list[int],
) -> None:
    train = train.model_copy(update={"epochs": 4, "schedule": "one_cycle", **changes})
    quiet, kept = begin(train), Checkpoint("0" * 64)
    list(quiet.run())
    for stop in [*stops, 5]:
        trainer = begin(train)
        kept.restore(trainer)
        for epoch in trainer.run():
            kept.save(trainer)
            if epoch.epoch == stop:
                break
    assert content(trainer) == content(quiet)
    assert f"goes on after epoch {stops[-1]}\n" in capsys.readouterr().out


def test_a_run_that_was_stopped_within_an_epoch_ends_in_the_same_state(
    train: Train, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "ROWS", 30)  # of 95, in batches of 10
    train = train.model_copy(update={"averaging": 0.9, "dropout": 0.2, "schedule": "one_cycle"})
    quiet, trainer, kept = begin(train), begin(train), Checkpoint("0" * 64)
    list(quiet.run())
    pauses = iter(range(5))  # 3 in an epoch

    def pause() -> None:
        if next(pauses) == 4:
            kept.save(trainer)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(trainer.run(pause))
    fresh = begin(train)
    kept.restore(fresh)
    assert len(fresh.losses) == 2
    assert "goes on after epoch 1 and some of the next\n" in capsys.readouterr().out
    list(fresh.run())
    assert content(fresh) == content(quiet)


@pytest.mark.parametrize("damage", ["short", "bit", "foreign"])
def test_a_damaged_or_foreign_checkpoint_is_reported_and_ignored(
    train: Train, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    trainer, kept, foreign = begin(train), Checkpoint("0" * 64), Checkpoint("0" * 63 + "1")
    assert foreign.path == kept.path
    list(trainer.run())
    (foreign if damage == "foreign" else kept).save(trainer)
    saved = kept.path.read_bytes()
    changed = {"short": saved[:-1], "bit": saved[:-1] + bytes([saved[-1] ^ 1]), "foreign": saved}
    kept.path.write_bytes(changed[damage])
    fresh = begin(train)
    kept.restore(fresh)
    assert content(fresh) == content(begin(train))
    assert capsys.readouterr().err == (
        f"warning: {kept.path}: damaged, or of another run, and not used; "
        "expected a checkpoint of this one\n"
    )


def test_workers_go_on_from_whichever_of_their_checkpoints_is_the_furthest(train: Train) -> None:
    first, other = kept = [Checkpoint(digit * 64) for digit in "01"]
    early, late = begin(train), begin(train)
    early.losses += [0.1] * 99  # which take more room than an epoch
    next(late.run())

    def restore(workers: Workers) -> tuple[int, int]:
        trainer = begin(train, workers)
        kept[workers.rank].restore(trainer)
        return len(trainer.history), len(trainer.losses)

    first.save(early)
    assert together(2, restore) == [(0, 99)] * 2
    other.save(late)
    assert together(2, restore) == [(1, 0)] * 2


def test_only_the_worker_that_leads_keeps_and_reads_a_checkpoint(train: Train) -> None:
    kept, follower = Checkpoint("0" * 64), begin(train, Workers(leads=False))
    kept.save(follower)
    assert not kept.path.exists()
    kept.path.mkdir(parents=True)
    kept.restore(follower)
    with pytest.raises(InputError, match=f"^{kept.path}: .*; expected a checkpoint$"):
        kept.restore(begin(train))


def test_params_rows_and_the_librarys_code_decide_a_runs_name(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "__file__", str(tmp_path / "network" / "checkpoint.py"))
    code, other = tmp_path / "exact.py", train.model_copy(update={"lr": 0.2})
    code.write_text("one")
    names = [identify(*one) for one in ((train, 3, "a"), (other, 3, "a"), (train, 3, "b"))]
    code.write_text("two")
    assert len({*names, identify(train, 3, "a")}) == 4
    code.write_text("one")
    assert identify(train.model_copy(), 3, "a") == names[0]
