from dataclasses import replace
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from digits import exact
from digits.errors import InputError
from digits.exact import Quantised, product
from digits.network.backpropagation import view_layers
from digits.network.model import MLP
from digits.network.schedule import learning_rate, share_averaged
from digits.network.training import Epoch, Labelled, Trainer, draw_network, validate
from digits.params import Train, load_params
from tests.conftest import PIXELS, draw_labelled, new_network
from tests.sandbox import CLASSES

ROWS, HELD_OUT = draw_labelled(95), draw_labelled(30, seed=1)


@pytest.fixture
def train(project: Path) -> Train:
    return load_params().train


def run(
    train: Train, rows: Labelled = ROWS, held_out: Labelled = HELD_OUT, **changes: Any
) -> tuple[MLP, list[Epoch]]:
    trainer = Trainer(rows, held_out, CLASSES, train.model_copy(update=changes))
    assert list(trainer.run()) == trainer.history
    return trainer.network(), trainer.history


def weights(model: MLP) -> bytes:
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


def test_a_network_learns_what_is_easy(train: Train) -> None:
    _, epochs = run(train, schedule="one_cycle", epochs=10)
    assert [epoch.epoch for epoch in epochs] == list(range(1, 11))
    assert epochs[-1].validation_accuracy == 1
    assert epochs[-1].training_loss < epochs[0].training_loss
    assert epochs[-1].validation_loss < 0.2


def test_a_new_network_is_drawn_as_nn_linear_draws_it_and_its_normalisation_does_nothing() -> None:
    widths, generator = (4, 500, 300), torch.Generator().manual_seed(0)
    layers = view_layers(draw_network(widths, generator, batch_norm=True), widths)
    for layer, (inputs, outputs) in zip(layers, pairwise(widths), strict=True):
        theirs = torch.nn.Linear(inputs, outputs)
        for mine, other in zip((layer.weights, layer.bias), theirs.parameters(), strict=True):
            assert mine.abs().max() <= inputs**-0.5
            assert mine.std().item() == pytest.approx(other.std().item(), rel=0.1)
            assert mine.mean().item() == pytest.approx(0, abs=0.1 * inputs**-0.5)
    assert [part.unique().tolist() for part in layers[0].norm] == [[1], [0], [1]]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_threads_and_kinds_of_products_change_no_byte(
    train: Train, monkeypatch: pytest.MonkeyPatch, batch_norm: bool
) -> None:
    # So large that threads share the work, and so many steps that each number of them has its turn.
    held_out = Labelled(HELD_OUT.images.repeat(1, 64), HELD_OUT.labels)
    rows = Labelled(ROWS.images.repeat(7, 64), ROWS.labels.repeat(7))
    monkeypatch.setattr(exact, "LARGE", 0)
    changes = {"widths": (200,), "batch_size": 64, "epochs": 1, "batch_norm": batch_norm}
    found, before = [], torch.get_num_threads()
    for threads, digits in ((1, False), (3, False), (1, True), (3, True)):
        torch.set_num_threads(threads)
        monkeypatch.setattr(exact, "_has_int8", lambda _, digits=digits: digits)
        found.append(run(train, rows, held_out, **changes)[1])
    torch.set_num_threads(before)
    assert all(epochs == found[0] for epochs in found)


def flip_a_pixel(rows: Labelled) -> Labelled:
    images = rows.images.clone()
    images[0, 0] = 1 - images[0, 0]
    return Labelled(images, rows.labels)


def digests(epoch: Epoch) -> tuple[str, ...]:
    return epoch.weights_sha256, epoch.draws_sha256, epoch.data_sha256


def test_weights_and_draws_have_new_digests_in_each_epoch_and_data_have_not(train: Train) -> None:
    columns = zip(*map(digests, run(train)[1]), strict=True)
    assert [len(set(column)) for column in columns] == [3, 3, 1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (False, False, False)),
        ({"lr": 0.2}, (True, False, False)),
        ({"input_noise": 0.5}, (True, True, False)),
        ({"seed": 1}, (True, True, False)),
        ({"rows": flip_a_pixel(ROWS)}, (True, False, True)),
        ({"held_out": flip_a_pixel(HELD_OUT)}, (False, False, True)),
    ],
    ids=["same", "rate", "noise", "seed", "training", "validation"],
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
    rows = replace(ROWS, images=torch.eye(95, PIXELS))
    changes: dict[str, Any] = {"momentum": 0.0, "batch_size": 48, "weight_decay": 0.0}
    model, epochs = run(train, rows, **changes)

    def negate_zeros(left: Quantised, right: Quantised, out: Tensor | None = None) -> Tensor:
        made = product(left, right, out)
        return made.masked_fill_(made == 0, -0.0)

    monkeypatch.setattr("digits.network.backpropagation.product", negate_zeros)
    other, same = run(train, rows, **changes)
    assert (weights(other), same) == (weights(model), epochs)


KNOBS = {"widths": (7, 6), "lr": 0.05, "momentum": 0.5, "nesterov": True, "weight_decay": 0.1}
KNOBS |= {"label_smoothing": 0.1, "batch_size": 20, "schedule": "one_cycle", "batch_norm": True}
KNOBS |= {"dropout": 0.5, "input_noise": 0.5, "hidden_noise": 0.5, "averaging": 0.9}
STRENGTHS = {"rotation": 10.0, "scale": 0.1, "shear": 0.1, "shift": 0.5, "elastic": 5.0}


@pytest.mark.parametrize(
    ("base", "change"),
    [
        *(({}, {name: value}) for name, value in KNOBS.items()),
        *(({}, {"augment": {name: value}}) for name, value in STRENGTHS.items()),
        ({"weight_decay": 0.1}, {"decayed": "weights"}),
        ({"schedule": "cosine"}, {"warm_up": 0.5}),
        ({"augment": {"elastic": 5.0}}, {"augment": {"elastic": 5.0, "smoothness": 2.0}}),
    ],
    ids=str,
)
def test_every_knob_changes_the_outcome(
    train: Train, base: dict[str, Any], change: dict[str, Any]
) -> None:
    found = []
    for changes in (base, base | change):
        augment = train.augment.model_copy(update=changes.get("augment", {}))
        found.append(weights(run(train, **changes | {"augment": augment})[0]))
    assert found[0] != found[1]


def test_the_network_that_is_kept_is_validated_with_its_averages_and_norms_folded(
    train: Train,
) -> None:
    changes = {"averaging": 0.9, "batch_norm": True, "dropout": 0.2, "epochs": 1}
    trainer = Trainer(ROWS, HELD_OUT, CLASSES, train.model_copy(update=changes))
    [epoch] = trainer.run()
    model = trainer.network()
    assert validate(model, HELD_OUT) == (epoch.validation_loss, epoch.validation_accuracy)
    hidden, last = view_layers(trainer.descent.averages, (PIXELS, 8, CLASSES))
    gains, means, variances = hidden.norm
    sums = ROWS.images @ hidden.weights
    sums = functional.batch_norm(sums, means, variances, gains, hidden.bias)
    expected = sums.relu() @ last.weights + last.bias
    assert torch.allclose(model(ROWS.images), expected, atol=0.05 * expected.abs().max().item())
    assert not torch.equal(trainer.descent.averages, trainer.descent.values)


@pytest.mark.parametrize(("rows", "batch_size"), [(95, 94), (95, 1), (1, 10)])
def test_a_batch_of_one_row_cannot_be_normalised(train: Train, rows: int, batch_size: int) -> None:
    with pytest.raises(InputError, match=f"batch_size = {batch_size}: a batch of 1 of {rows} "):
        run(train, draw_labelled(rows), batch_norm=True, batch_size=batch_size)


def test_epochs_take_every_row_once_in_a_new_order_and_the_schedule_runs_once(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[Tensor, Tensor, Tensor]] = []
    take_step = Trainer.take_step

    def watch(trainer: Trainer, batch: Tensor, schedule: Tensor) -> Tensor:
        logits = take_step(trainer, batch, schedule)
        taken.append((batch, schedule, logits))
        return logits

    monkeypatch.setattr(Trainer, "take_step", watch)
    changes = {"epochs": 2, "schedule": "one_cycle", "averaging": 0.8, "label_smoothing": 0.3}
    train = train.model_copy(update=changes)
    _, epochs = run(train)
    batches, schedule, logits = zip(*taken, strict=True)
    expected = [(learning_rate(step, 20, train), share_averaged(step, 0.8)) for step in range(20)]
    assert torch.equal(torch.stack(schedule), torch.tensor(expected))
    orders = torch.cat(batches).split(95)
    assert all(sorted(order.tolist()) == list(range(95)) for order in orders)
    assert not torch.equal(*orders)
    # The training loss is the mean over rows, with their labels smoothed.
    for order, answers, epoch in zip(orders, torch.cat(logits).split(95), epochs, strict=True):
        loss = functional.cross_entropy(answers, ROWS.labels[order], label_smoothing=0.3)
        assert epoch.training_loss == pytest.approx(loss.item(), rel=1e-6)


def test_a_loss_that_is_not_finite_is_an_error_with_epoch_step_and_rate(train: Train) -> None:
    with pytest.raises(InputError, match=r"the loss is nan in epoch 1, step 3, at .* 1e\+20; "):
        run(train, lr=1e20)


def test_validation_is_mean_loss_and_share_of_right_rows() -> None:
    model = new_network([PIXELS, CLASSES])
    for parameter in model.parameters():
        parameter.data.zero_()
    assert validate(model, HELD_OUT) == pytest.approx((log(CLASSES), 1 / CLASSES))
