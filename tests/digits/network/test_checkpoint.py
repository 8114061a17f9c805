from pathlib import Path
from typing import Any

import pytest

from digits.network import checkpoint
from digits.network.checkpoint import Checkpoint, identify
from digits.network.training import Labelled, TrainingState, begin, fit
from digits.params import Augment, Train, load_params
from tests.conftest import PIXELS, draw_labelled
from tests.sandbox import CLASSES


@pytest.fixture
def train(project: Path) -> Train:
    return load_params().train


def new_state(train: Train) -> TrainingState:
    return begin(PIXELS, CLASSES, train)


def content(state: TrainingState) -> tuple[Any, ...]:
    """Return all of a state as bytes and numbers, digests among them."""
    numbers = [part.numpy().tobytes() for part in (state.values, state.momentum, state.averages)]
    return numbers, state.generator.get_state().tolist(), state.history


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"momentum": 0.0},
        {"averaging": 0.9, "batch_norm": True, "dropout": 0.2, "input_noise": 0.1},
        {"augment": Augment(rotation=9, scale=0.1, shear=0, shift=1, elastic=2, smoothness=1)},
    ],
    ids=["plain", "no momentum", "regularised", "augmented"],
)
@pytest.mark.parametrize("stops", [[1], [2], [4], [1, 2, 3]], ids=str)
def test_a_run_that_was_stopped_ends_in_the_same_state(
    train: Train, changes: dict[str, object], stops: list[int]
) -> None:
    train = train.model_copy(update={"epochs": 4, "schedule": "one_cycle", **changes})
    quiet = new_state(train)
    list(fit(quiet, draw_labelled(95), draw_labelled(30, 1), train))
    kept = Checkpoint("0" * 64)
    for stop in [*stops, 5]:
        state = new_state(train)
        kept.restore(state)
        for epoch in fit(state, draw_labelled(95), draw_labelled(30, 1), train):
            kept.save(state)
            if epoch.epoch == stop:
                break
    assert content(state) == content(quiet)


def test_the_checkpoint_lies_beside_the_network_and_goes(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Checkpoint("0123456789abcdef" * 4)
    kept.restore(new_state(train))
    kept.save(new_state(train))
    assert list(Path("models").iterdir()) == [Path("models/0123456789abcdef.checkpoint")]
    kept.remove()
    kept.remove()
    assert not list(Path("models").iterdir())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("damage", ["empty", "short", "bit", "digest", "pickle", "foreign"])
def test_a_damaged_or_foreign_checkpoint_is_reported_and_ignored(
    train: Train, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    state, kept = new_state(train), Checkpoint("0" * 64)
    list(fit(state, draw_labelled(95), draw_labelled(30, 1), train))
    kept.save(state)
    saved = kept.path.read_bytes()
    foreign = Checkpoint("0" * 63 + "1")
    assert foreign.path == kept.path
    foreign.save(state)
    kept.path.write_bytes(
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
    kept.restore(fresh)
    assert content(fresh) == content(new_state(train))
    assert capsys.readouterr().err == (
        f"warning: {kept.path}: damaged, or of another run; expected its own checkpoint; "
        "training starts at the first epoch\n"
    )


def test_all_that_decides_a_runs_bytes_and_nothing_of_the_machine_decides_its_name(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, images = draw_labelled(9), draw_labelled(9).images.clone()
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
    monkeypatch.setattr("torch.__version__", "0")
    monkeypatch.setenv("DIGITS_DEVICE", "cuda")
    assert identify((train,), draw_labelled(9)) in names


def test_the_librarys_code_decides_the_name(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("checkpoint.py", "training.py"):
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(checkpoint, "__file__", str(tmp_path / "network" / "checkpoint.py"))
    before = identify((train,), draw_labelled(9))
    assert identify((train,), draw_labelled(9)) == before
    (tmp_path / "training.py").write_text("two")
    assert identify((train,), draw_labelled(9)) != before
