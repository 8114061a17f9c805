from pathlib import Path
from typing import Any

import pytest
import torch

from digits.checkpoint import Checkpoint, identify
from digits.params import Train, load_params
from digits.training import Labelled, TrainingState, begin, fit
from proofs.sandbox import CLASSES, draw_images
from tests.conftest import PIXELS


def data(rows: int, seed: int = 0) -> Labelled:
    pixels, labels = draw_images(rows, seed)
    return Labelled(torch.from_numpy(pixels).float() / 255, torch.from_numpy(labels))


@pytest.fixture
def train(project: Path) -> Train:
    return load_params().train


def new_state(train: Train) -> TrainingState:
    return begin([PIXELS, *train.widths, CLASSES], train)


def content(state: TrainingState) -> tuple[Any, ...]:
    """Return all of a state as bytes and numbers."""
    weights = [value.numpy().tobytes() for value in state.model.state_dict().values()]
    buffers = state.optimiser.state_dict()["state"]
    momentum = [buffers[index].get("momentum_buffer") for index in sorted(buffers)]
    momentum = [value if value is None else value.numpy().tobytes() for value in momentum]
    return weights, momentum, state.generator.get_state().tolist(), state.history


@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize("stops", [[1], [2], [4], [1, 2, 3]], ids=str)
def test_a_run_that_was_stopped_ends_in_the_same_state(
    train: Train, momentum: float, stops: list[int]
) -> None:
    changes = {"epochs": 4, "momentum": momentum, "schedule": "one_cycle"}
    train = train.model_copy(update=changes)
    quiet = new_state(train)
    list(fit(quiet, data(95), data(30, 1), train))
    checkpoint = Checkpoint("0" * 64)
    for stop in [*stops, 5]:
        state = new_state(train)
        checkpoint.restore(state)
        for epoch in fit(state, data(95), data(30, 1), train):
            checkpoint.save(state)
            if epoch.epoch == stop:
                break
    assert content(state) == content(quiet)


def test_the_checkpoint_lies_beside_the_network_and_goes(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Checkpoint("0123456789abcdef" * 4)
    checkpoint.restore(new_state(train))
    checkpoint.save(new_state(train))
    assert list(Path("models").iterdir()) == [Path("models/0123456789abcdef.checkpoint")]
    checkpoint.remove()
    checkpoint.remove()
    assert not list(Path("models").iterdir())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("damage", ["empty", "short", "bit", "digest", "pickle", "foreign"])
def test_a_damaged_or_foreign_checkpoint_is_reported_and_ignored(
    train: Train, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    state, checkpoint = new_state(train), Checkpoint("0" * 64)
    list(fit(state, data(95), data(30, 1), train))
    checkpoint.save(state)
    saved = checkpoint.path.read_bytes()
    foreign = Checkpoint("0" * 63 + "1")
    assert foreign.path == checkpoint.path
    foreign.save(state)
    checkpoint.path.write_bytes(
        {
            "empty": b"",
            "short": saved[:-1],
            "bit": saved[:-1] + bytes([saved[-1] ^ 1]),
            "digest": bytes([saved[0] ^ 1]) + saved[1:],
            "pickle": b"\x80\x04N.",
            "foreign": foreign.path.read_bytes(),
        }[damage]
    )
    fresh = new_state(train)
    checkpoint.restore(fresh)
    assert content(fresh) == content(new_state(train))
    assert capsys.readouterr().err == (
        f"warning: {checkpoint.path}: damaged, or of another run; expected its own checkpoint; "
        "training starts at the first epoch\n"
    )


def test_all_that_decides_a_runs_bytes_decides_its_name(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, images = data(9), data(9).images.clone()
    images[0, 0] += 1
    names = {
        identify((train,), rows),
        identify((train.model_copy(update={"lr": 0.2}),), rows),
        identify((train, 3), rows),
        identify((train,), Labelled(images, rows.labels)),
        identify((train,), Labelled(rows.images, rows.labels.flip(0))),
        identify((train,), Labelled(rows.images.reshape(-1, 1), rows.labels)),
        identify((train,), rows, rows),
    }
    assert len(names) == 7
    assert identify((train,), rows) in names
    monkeypatch.setattr("torch.__version__", "0")
    assert identify((train,), rows) not in names
