from math import cos, log, pi
from pathlib import Path
from typing import Any

import pytest
import torch

from digits import training
from digits.errors import InputError
from digits.model import MLP
from digits.params import Train, load_params
from digits.training import (
    Epoch,
    TrainingState,
    average,
    begin,
    differentiate,
    fit,
    learning_rate,
    trained,
    validate,
)
from proofs.sandbox import CLASSES
from tests.conftest import PIXELS, draw_labelled


@pytest.fixture
def train(project: Path) -> Train:
    return load_params().train


def run(train: Train, **changes: object) -> tuple[MLP, list[Epoch]]:
    train = train.model_copy(update=changes)
    state = begin(PIXELS, CLASSES, train)
    epochs = list(fit(state, draw_labelled(95), draw_labelled(30, seed=1), train))
    return trained(state), epochs


def weights(model: MLP) -> bytes:
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


@pytest.mark.parametrize("schedule", ["constant", "one_cycle", "cosine"])
def test_a_network_learns_what_is_easy(train: Train, schedule: str) -> None:
    _, epochs = run(train, schedule=schedule, epochs=10)
    assert [epoch.epoch for epoch in epochs] == list(range(1, 11))
    assert epochs[-1].validation_accuracy == 1
    assert epochs[-1].training_loss < epochs[0].training_loss
    assert epochs[-1].validation_loss < 0.2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(
    train: Train, precision: str
) -> None:
    first, again, other = (run(train, precision=precision, seed=seed) for seed in (0, 0, 1))
    assert weights(first[0]) == weights(again[0])
    assert first[1] == again[1]
    assert weights(first[0]) != weights(other[0])


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 0.05},
        {"momentum": 0.5},
        {"nesterov": True},
        {"weight_decay": 0.1},
        {"label_smoothing": 0.1},
        {"batch_size": 20},
        {"schedule": "one_cycle"},
        {"schedule": "cosine"},
        {"batch_norm": True},
        {"dropout": 0.5},
        {"input_noise": 0.5},
        {"hidden_noise": 0.5},
        {"averaging": 0.9},
        {"precision": "bfloat16"},
        {"augment": {"rotation": 10.0}},
        {"augment": {"scale": 0.1}},
        {"augment": {"shear": 0.1}},
        {"augment": {"shift": 0.5}},
        {"augment": {"elastic": 5.0}},
    ],
    ids=str,
)
def test_every_knob_changes_the_outcome(train: Train, change: dict[str, Any]) -> None:
    assert weights(run(train)[0]) != weights(run(train, **nested(train, change))[0])


@pytest.mark.parametrize(
    ("base", "change"),
    [
        ({"weight_decay": 0.1}, {"decayed": "weights"}),
        ({"schedule": "cosine"}, {"warm_up": 0.5}),
        ({"augment": {"elastic": 5.0}}, {"augment": {"elastic": 5.0, "smoothness": 2.0}}),
    ],
    ids=str,
)
def test_a_knob_of_a_knob_changes_the_outcome(
    train: Train, base: dict[str, Any], change: dict[str, Any]
) -> None:
    without, changed = nested(train, base), nested(train, base | change)
    assert weights(run(train, **without)[0]) != weights(run(train, **changed)[0])


def nested(train: Train, change: dict[str, Any]) -> dict[str, Any]:
    """Return changes with a whole section `augment`, if they change anything in it."""
    if "augment" not in change:
        return change
    return change | {"augment": train.augment.model_copy(update=change["augment"])}


@pytest.mark.parametrize("batch_norm", [False, True])
def test_in_bfloat16_gradients_are_those_of_float32_but_for_rounding(
    train: Train, batch_norm: bool
) -> None:
    rows, found = draw_labelled(95), {}
    for precision in ("float32", "bfloat16"):
        changed = train.model_copy(update={"batch_norm": batch_norm, "precision": precision})
        state = begin(PIXELS, CLASSES, changed)
        loss, gradients = differentiate(state, rows.images, rows.labels, changed)
        found[precision] = [loss, torch.cat([gradient.flatten() for gradient in gradients])]
    for exact, rounded in zip(found["float32"], found["bfloat16"], strict=True):
        assert exact.dtype == rounded.dtype == torch.float32
        assert 0 < (exact - rounded).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decayed", ["all", "weights"])
def test_a_step_is_gradient_descent_with_momentum_and_decay(
    train: Train, decayed: str, nesterov: bool
) -> None:
    changes = {"widths": (), "batch_size": 95, "epochs": 3, "momentum": 0.9, "weight_decay": 0.01}
    train = train.model_copy(update={**changes, "decayed": decayed, "nesterov": nesterov})
    state = begin(PIXELS, CLASSES, train)
    initial = state.model.parameters()
    expected = [parameter.detach().clone().requires_grad_() for parameter in initial]
    velocity = [torch.zeros_like(parameter) for parameter in expected]
    rows = draw_labelled(95)
    for _ in range(3):
        logits = rows.images @ expected[0].T + expected[1]
        loss = -logits.log_softmax(dim=1)[torch.arange(95), rows.labels].mean()
        gradients = torch.autograd.grad(loss, expected)
        for index, slope in enumerate(gradients):
            decay = 0.01 if index == 0 or decayed == "all" else 0
            gradient = slope + decay * expected[index].detach()
            velocity[index] = 0.9 * velocity[index] + gradient
            move = gradient + 0.9 * velocity[index] if nesterov else velocity[index]
            expected[index].data -= train.lr * move
    list(fit(state, rows, draw_labelled(30), train))
    for parameter, value in zip(state.model.parameters(), expected, strict=True):
        assert torch.allclose(parameter, value, atol=1e-6)


def test_averages_keep_their_share_and_less_at_first(train: Train) -> None:
    state = begin(PIXELS, CLASSES, train.model_copy(update={"averaging": 0.8}))
    expected = [value.clone() for value in state.averages]
    for step, taken in ((0, 0.9), (1, 9 / 11), (35, 0.2), (36, 0.2), (1000, 0.2)):
        for index, parameter in enumerate(state.parameters):
            parameter.data += torch.randn(parameter.shape)
            expected[index] += taken * (parameter.data - expected[index])
        average(state, step, 0.8)
    for value, mean in zip(trained(state).parameters(), expected, strict=True):
        assert torch.allclose(value, mean, atol=1e-6)
    assert not torch.allclose(state.parameters[0], expected[0], atol=1e-2)


def test_without_averaging_training_comes_to_the_network_itself(train: Train) -> None:
    state = begin(PIXELS, CLASSES, train)
    average(state, 0, train.averaging)
    assert trained(state) is state.model


def test_validation_is_of_the_network_that_is_kept(train: Train) -> None:
    changes = {"averaging": 0.9, "batch_norm": True, "dropout": 0.2, "epochs": 1}
    train = train.model_copy(update=changes)
    state = begin(PIXELS, CLASSES, train)
    [epoch] = fit(state, draw_labelled(95), draw_labelled(30, 1), train)
    assert validate(trained(state), draw_labelled(30, 1)) == (
        epoch.validation_loss,
        epoch.validation_accuracy,
    )


@pytest.mark.parametrize(("rows", "batch_size"), [(95, 94), (95, 1), (1, 10)])
def test_a_batch_of_one_row_cannot_be_normalised(train: Train, rows: int, batch_size: int) -> None:
    train = train.model_copy(update={"batch_norm": True, "batch_size": batch_size})
    state = begin(PIXELS, CLASSES, train)
    with pytest.raises(
        InputError, match=f"train.batch_size = {batch_size}: a batch of 1 of {rows} "
    ):
        list(fit(state, draw_labelled(rows), draw_labelled(30), train))


def test_joined_rows_are_these_and_then_those() -> None:
    first, second = draw_labelled(5), draw_labelled(3, seed=1)
    both = first.joined(second)
    assert torch.equal(both.images[:5], first.images)
    assert torch.equal(both.images[5:], second.images)
    assert both.labels.tolist() == [*first.labels.tolist(), *second.labels.tolist()]


def test_label_smoothing_spreads_a_share_of_each_label_over_all_classes(train: Train) -> None:
    changes = {"widths": (), "label_smoothing": 0.3, "batch_size": 10, "epochs": 1}
    train = train.model_copy(update=changes)
    state = begin(PIXELS, CLASSES, train)
    rows = draw_labelled(10)
    logs = state.model(rows.images).log_softmax(dim=1).detach()
    truth = torch.eye(CLASSES)[rows.labels]
    expected = -((0.7 * truth + 0.3 / CLASSES) * logs).sum(dim=1).mean()
    [epoch] = fit(state, rows, draw_labelled(5), train)
    assert epoch.training_loss == pytest.approx(expected.item(), rel=1e-6)


def test_the_schedule_runs_once_over_all_epochs(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[object] = []
    step = training.take_step

    def watch(state: TrainingState, rate: float, *rest: Any) -> torch.Tensor:
        rates.append(rate)
        return step(state, rate, *rest)

    monkeypatch.setattr(training, "take_step", watch)
    changes = {"schedule": "one_cycle", "epochs": 2}
    run(train, **changes)
    train = train.model_copy(update=changes)
    assert rates == [learning_rate(step, 20, train) for step in range(20)]


def test_every_row_is_seen_once_an_epoch(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def watch(*arguments: object) -> torch.Tensor:
        batch = arguments[3]
        assert isinstance(batch, torch.Tensor)
        seen.extend(batch.tolist())
        return torch.tensor(0.0)

    monkeypatch.setattr("digits.training.take_step", watch)
    run(train, epochs=2)
    first, second = seen[:95], seen[95:]
    assert sorted(first) == sorted(second) == list(range(95))
    assert first != second


def test_a_constant_rate_stays(train: Train) -> None:
    assert {learning_rate(step, 50, train) for step in range(50)} == {train.lr}


@pytest.mark.parametrize("warm_up", [0, 0.2, 0.5])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 10, 1000])
def test_a_schedule_rises_to_the_rate_and_falls_to_almost_nothing(
    train: Train, steps: int, schedule: str, warm_up: float
) -> None:
    train = train.model_copy(update={"schedule": schedule, "warm_up": warm_up})
    rates = [learning_rate(step, steps, train) for step in range(steps)]
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 < rate <= train.lr for rate in rates)
    if steps >= 10:
        assert max(rates) == train.lr
        assert peak == pytest.approx(warm_up * steps, abs=1)
        assert rates[-1] < 1.01 * train.lr / ((1 - warm_up) * steps)


def test_one_cycle_falls_in_a_line_and_cosine_in_half_a_wave(train: Train) -> None:
    fall = train.model_copy(update={"schedule": "one_cycle", "warm_up": 0})
    wave = fall.model_copy(update={"schedule": "cosine"})
    for step in (0, 250, 500, 750):
        assert learning_rate(step, 1000, fall) == pytest.approx(train.lr * (1 - step / 1000))
        expected = train.lr * (1 + cos(pi * step / 1000)) / 2
        assert learning_rate(step, 1000, wave) == pytest.approx(expected)


def test_a_loss_that_is_not_finite_is_an_error_with_epoch_step_and_rate(train: Train) -> None:
    message = r"train.lr: the loss is (nan|inf) in epoch 1, step \d+, at a rate of 1e\+20; "
    with pytest.raises(InputError, match=message):
        run(train, lr=1e20)


def test_validation_of_a_network_that_has_diverged_is_an_error_that_names_the_rate(
    train: Train,
) -> None:
    state = begin(PIXELS, CLASSES, train)
    state.parameters[0].data.fill_(1e38)
    message = r"^params.yaml: train.lr: .* expected a smaller train.lr, or else .*weight_decay$"
    with pytest.raises(InputError, match=message):
        validate(trained(state), draw_labelled(30))


def test_validation_is_mean_loss_and_share_of_right_rows() -> None:
    model = MLP([PIXELS, CLASSES])
    for parameter in model.parameters():
        parameter.data.zero_()
    loss, accuracy = validate(model, draw_labelled(30))
    assert loss == pytest.approx(log(CLASSES))
    assert accuracy == 1 / CLASSES
