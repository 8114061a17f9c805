from dataclasses import replace
from math import cos, log, pi
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from digits import exact
from digits.errors import InputError
from digits.exact import Quantised, product
from digits.network import training
from digits.network.backpropagation import Layers
from digits.network.model import MLP
from digits.network.training import (
    Descent,
    Epoch,
    Labelled,
    begin,
    fit,
    learning_rate,
    share_averaged,
    trained,
    validate,
)
from digits.params import Train, load_params
from tests.conftest import PIXELS, draw_labelled
from tests.sandbox import CLASSES

ROWS, HELD_OUT = draw_labelled(95), draw_labelled(30, seed=1)


@pytest.fixture
def train(project: Path) -> Train:
    return load_params().train


def run(
    train: Train, rows: Labelled = ROWS, held_out: Labelled = HELD_OUT, **changes: Any
) -> tuple[MLP, list[Epoch]]:
    train = train.model_copy(update=changes)
    state = begin(rows.images.shape[1], CLASSES, train)
    epochs = list(fit(state, rows, held_out, train))
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


@pytest.mark.parametrize("batch_norm", [False, True])
def test_threads_and_kinds_of_products_change_no_byte(
    train: Train, monkeypatch: pytest.MonkeyPatch, batch_norm: bool
) -> None:
    # So large that threads share the work, and so many steps that each number of them has its turn.
    held_out = Labelled(HELD_OUT.images.repeat(1, 64), HELD_OUT.labels)
    rows = Labelled(ROWS.images.repeat(7, 64), ROWS.labels.repeat(7))
    monkeypatch.setattr(exact, "LARGE", 0)
    found, before = [], torch.get_num_threads()
    for threads, digits in ((1, False), (2, False), (3, False), (1, True), (3, True)):
        torch.set_num_threads(threads)
        monkeypatch.setattr(exact, "_has_int8", lambda _, digits=digits: digits)
        changes = {"widths": (200,), "batch_size": 64, "epochs": 1, "batch_norm": batch_norm}
        found.append(run(train, rows, held_out, **changes)[1])
    torch.set_num_threads(before)
    assert all(epochs == found[0] for epochs in found)


def test_training_leaves_as_many_threads_as_it_found(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    before = torch.get_num_threads()
    monkeypatch.setattr("digits.network.device.torch.set_num_threads", left.append)
    run(train)
    assert left[-1] == before


def flip_a_pixel(rows: Labelled) -> Labelled:
    images = rows.images.clone()
    images[0, 0] = 1 - images[0, 0]
    return Labelled(images, rows.labels)


def digests(epoch: Epoch) -> tuple[str, ...]:
    return epoch.weights_sha256, epoch.draws_sha256, epoch.data_sha256


def test_the_same_seed_gives_the_same_bytes_and_digests_of_each_epoch(train: Train) -> None:
    (model, epochs), (again, same) = run(train), run(train)
    assert weights(again) == weights(model)
    assert same == epochs
    columns = list(zip(*map(digests, epochs), strict=True))
    assert [len(set(column)) for column in columns] == [3, 3, 1]
    assert {len(digest) for column in columns for digest in column} == {12}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lr": 0.2}, (True, False, False)),
        ({"input_noise": 0.5}, (True, True, False)),
        ({"seed": 1}, (True, True, False)),
        ({"rows": flip_a_pixel(ROWS)}, (True, False, True)),
        ({"held_out": flip_a_pixel(HELD_OUT)}, (False, False, True)),
    ],
    ids=["rate", "noise", "seed", "training", "validation"],
)
def test_digests_say_whether_weights_draws_or_data_differ(
    train: Train, changes: dict[str, Any], expected: tuple[bool, ...]
) -> None:
    (_, [epoch]), (_, [other]) = run(train, epochs=1), run(train, epochs=1, **changes)
    pairs = zip(digests(epoch), digests(other), strict=True)
    assert tuple(one != another for one, another in pairs) == expected


def test_the_sign_of_a_product_that_is_0_changes_no_byte(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of two batches: without momentum, what a pixel that is in one row alone leaves is 0 or -0.
    images = torch.zeros_like(ROWS.images)
    images[range(PIXELS), range(PIXELS)] = 1
    changes: dict[str, Any] = {"momentum": 0.0, "batch_size": 48, "weight_decay": 0.0}
    found = run(train, replace(ROWS, images=images), **changes)

    def negate_zeros(left: Quantised, right: Quantised, out: Tensor | None = None) -> Tensor:
        made = product(left, right)
        made = torch.where(made == 0, -0.0, made)
        return made if out is None else out.copy_(made)

    monkeypatch.setattr("digits.network.backpropagation.product", negate_zeros)
    other = run(train, replace(ROWS, images=images), **changes)
    assert (weights(other[0]), other[1]) == (weights(found[0]), found[1])


@pytest.mark.parametrize(
    ("base", "change"),
    [
        ({}, {"lr": 0.05}),
        ({}, {"momentum": 0.5}),
        ({}, {"nesterov": True}),
        ({}, {"weight_decay": 0.1}),
        ({}, {"label_smoothing": 0.1}),
        ({}, {"batch_size": 20}),
        ({}, {"schedule": "one_cycle"}),
        ({}, {"schedule": "cosine"}),
        ({}, {"batch_norm": True}),
        ({}, {"dropout": 0.5}),
        ({}, {"input_noise": 0.5}),
        ({}, {"hidden_noise": 0.5}),
        ({}, {"averaging": 0.9}),
        ({}, {"augment": {"rotation": 10.0}}),
        ({}, {"augment": {"scale": 0.1}}),
        ({}, {"augment": {"shear": 0.1}}),
        ({}, {"augment": {"shift": 0.5}}),
        ({}, {"augment": {"elastic": 5.0}}),
        ({"weight_decay": 0.1}, {"decayed": "weights"}),
        ({"schedule": "cosine"}, {"warm_up": 0.5}),
        ({"augment": {"elastic": 5.0}}, {"augment": {"elastic": 5.0, "smoothness": 2.0}}),
    ],
    ids=str,
)
def test_every_knob_changes_the_outcome(
    train: Train, base: dict[str, Any], change: dict[str, Any]
) -> None:
    without, changed = nested(train, base), nested(train, base | change)
    assert weights(run(train, **without)[0]) != weights(run(train, **changed)[0])


def nested(train: Train, change: dict[str, Any]) -> dict[str, Any]:
    """Return changes with a whole section `augment`, if they change anything in it."""
    if "augment" not in change:
        return change
    return change | {"augment": train.augment.model_copy(update=change["augment"])}


@pytest.fixture
def slopes(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Let gradients be random, and blocks small; return what grows by each of them."""
    drawn: list[Tensor] = []

    def write(_: Layers, gradient: Layers, *_rest: object) -> Tensor:
        parts = (*gradient.weights, *gradient.biases, *gradient.gains)
        drawn.append(torch.cat([part.normal_().flatten() for part in parts]))
        return torch.zeros(0)

    monkeypatch.setattr(training, "backpropagate", write)
    monkeypatch.setattr(training, "BLOCK", 7)
    return drawn


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decayed", ["all", "weights"])
def test_a_step_is_that_of_torch_but_for_rounding(
    train: Train, slopes: list[Tensor], decayed: str, nesterov: bool
) -> None:
    changes = {"batch_norm": True, "weight_decay": 0.1, "decayed": decayed, "nesterov": nesterov}
    train = train.model_copy(update=changes)
    state = begin(PIXELS, CLASSES, train)
    numbers = state.values[: len(state.momentum)]
    sizes = [PIXELS * 8 + 8 * CLASSES, 8 + CLASSES + 8]  # of weights, and of biases and gains
    kinds = [kind.clone() for kind in numbers.split(sizes)]
    pairs = zip(kinds, (0.1, 0.1 if decayed == "all" else 0), strict=True)
    groups = [{"params": [kind], "weight_decay": decay} for kind, decay in pairs]
    optimiser = torch.optim.SGD(groups, train.lr, momentum=train.momentum, nesterov=nesterov)
    descent = Descent(state, ROWS, train)
    for step in range(4):
        descent.take_step(torch.arange(10), torch.tensor([train.lr, 0]))
        kinds[0].grad, kinds[1].grad = slopes[step].split(sizes)
        optimiser.step()
    assert torch.allclose(numbers, torch.cat(kinds), atol=1e-6)


@pytest.mark.usefixtures("slopes")
def test_averages_keep_their_share_and_less_at_first(train: Train) -> None:
    train = train.model_copy(update={"averaging": 0.8})
    state = begin(PIXELS, CLASSES, train)
    expected, descent = state.averages.clone(), Descent(state, ROWS, train)
    for step, share in ((0, 0.9), (1, 9 / 11), (35, 0.2), (36, 0.2), (1000, 0.2)):
        assert share_averaged(step, 0.8) == pytest.approx(share)
        descent.take_step(torch.arange(10), torch.tensor([1.0, share]))
        expected += share * (state.values - expected)
    assert torch.allclose(state.averages, expected, atol=1e-5)
    assert not torch.allclose(state.values, expected, atol=1e-2)
    first = next(trained(state).parameters()).T.flatten()
    assert torch.equal(first, state.averages[: len(first)])


def test_validation_is_of_the_network_that_is_kept(train: Train) -> None:
    changes: dict[str, Any] = {"averaging": 0.9, "batch_norm": True, "dropout": 0.2, "epochs": 1}
    model, [epoch] = run(train, **changes)
    assert validate(model, HELD_OUT) == (epoch.validation_loss, epoch.validation_accuracy)


@pytest.mark.parametrize(("rows", "batch_size"), [(95, 94), (95, 1), (1, 10)])
def test_a_batch_of_one_row_cannot_be_normalised(train: Train, rows: int, batch_size: int) -> None:
    with pytest.raises(InputError, match=f"batch_size = {batch_size}: a batch of 1 of {rows} "):
        run(train, draw_labelled(rows), batch_norm=True, batch_size=batch_size)


def test_joined_rows_are_these_and_then_those() -> None:
    first, second = draw_labelled(5), draw_labelled(3, seed=1)
    both = first.joined(second)
    assert torch.equal(both.images, torch.cat([first.images, second.images]))
    assert both.labels.tolist() == [*first.labels.tolist(), *second.labels.tolist()]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return what grows with each step by its rows, its schedule and its logits."""
    taken: list[tuple[Tensor, Tensor, Tensor]] = []
    take_step = Descent.take_step

    def watch(descent: Descent, batch: Tensor, schedule: Tensor) -> Tensor:
        logits = take_step(descent, batch, schedule)
        taken.append((batch, schedule, logits))
        return logits

    monkeypatch.setattr(Descent, "take_step", watch)
    return taken


def test_each_epoch_takes_every_row_once_in_a_new_order_and_the_schedule_runs_once(
    train: Train, steps: list[tuple[Tensor, Tensor, Tensor]]
) -> None:
    train = train.model_copy(update={"schedule": "one_cycle", "epochs": 2, "averaging": 0.8})
    run(train)
    expected = [(learning_rate(step, 20, train), share_averaged(step, 0.8)) for step in range(20)]
    assert torch.equal(torch.stack([schedule for _, schedule, _ in steps]), torch.tensor(expected))
    seen = torch.cat([batch for batch, _, _ in steps]).tolist()
    assert sorted(seen[:95]) == sorted(seen[95:]) == list(range(95))
    assert seen[:95] != seen[95:]


def test_the_training_loss_is_the_mean_over_rows_with_their_labels_smoothed(
    train: Train, steps: list[tuple[Tensor, Tensor, Tensor]]
) -> None:
    _, [epoch] = run(train, label_smoothing=0.3, epochs=1)
    batches, _, logits = zip(*steps, strict=True)
    labels = ROWS.labels[torch.cat(batches)]
    expected = functional.cross_entropy(torch.cat(logits), labels, label_smoothing=0.3)
    assert epoch.training_loss == pytest.approx(expected.item(), rel=1e-6)


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
    with pytest.raises(InputError, match=r"the loss is nan in epoch 1, step 3, at .* 1e\+20; "):
        run(train, lr=1e20)


def test_validation_of_a_diverged_network_is_an_error_that_names_the_rate(train: Train) -> None:
    state = begin(PIXELS, CLASSES, train)
    state.values.fill_(1e38)
    message = r"^params.yaml: train.lr: .* expected a smaller train.lr, or else .*weight_decay$"
    with pytest.raises(InputError, match=message):
        validate(trained(state), HELD_OUT)


def test_validation_is_mean_loss_and_share_of_right_rows() -> None:
    model = MLP([PIXELS, CLASSES])
    for parameter in model.parameters():
        parameter.data.zero_()
    loss, accuracy = validate(model, HELD_OUT)
    assert loss == pytest.approx(log(CLASSES))
    assert accuracy == 1 / CLASSES
