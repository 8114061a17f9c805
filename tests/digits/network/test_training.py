import hashlib
import re
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from digits.errors import InputError
from digits.network import int8
from digits.network.backpropagation import view_layers
from digits.network.model import MLP
from digits.network.schedule import learning_rate, share_averaged
from digits.network.training import (
    Epoch,
    Labelled,
    Trainer,
    brief,
    digest,
    draw_network,
    mean_epoch,
)
from digits.network.workers import Workers
from digits.params import Train
from tests.conftest import PIXELS, draw_labelled, tiny_params
from tests.sandbox import CLASSES

ROWS, HELD_OUT = draw_labelled(95), draw_labelled(30, seed=1)


def begin(rows: Labelled = ROWS, held_out: Labelled = HELD_OUT, /, **changes: Any) -> Trainer:
    """Begin a training with changed params; keys of `augment` are written with two underscores."""
    changed = {f"train.{key.replace('__', '.')}": value for key, value in changes.items()}
    return Trainer(rows, held_out, CLASSES, Train(**tiny_params(changed)["train"]))


def run(*rows: Labelled, **changes: Any) -> list[Epoch]:
    return list(begin(*rows, **changes).run())


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
    numbers = 5 * 500 + 501 * 300
    for batch_norm, norms in ((False, 0), (True, 3 * 500)):
        assert len(draw_network(widths, generator, batch_norm=batch_norm)) == numbers + norms


@pytest.mark.parametrize("batch_norm", [False, True])
def test_threads_and_kinds_of_products_change_no_byte(
    monkeypatch: pytest.MonkeyPatch, batch_norm: bool
) -> None:
    # So large that threads share the work, and so many steps that each number of them has its turn.
    held_out = Labelled(HELD_OUT.images.repeat(1, 64), HELD_OUT.labels)
    rows = Labelled(ROWS.images.repeat(7, 64), ROWS.labels.repeat(7))
    monkeypatch.setattr(int8, "LARGE", 0)
    changes = {"widths": [200], "batch_size": 64, "epochs": 1, "batch_norm": batch_norm}
    found, before = [], torch.get_num_threads()
    for threads, digits in ((1, False), (3, False), (1, True), (3, True)):
        torch.set_num_threads(threads)
        monkeypatch.setattr(int8, "_has_int8", lambda _, digits=digits: digits)
        found.append(run(rows, held_out, **changes))
    torch.set_num_threads(before)
    assert all(epochs == found[0] for epochs in found)


def flip_a_pixel(rows: Labelled) -> Labelled:
    images = rows.images.clone()
    images[0, 0] = 1 - images[0, 0]
    return Labelled(images, rows.labels)


def digests(epoch: Epoch) -> tuple[str, ...]:
    return epoch.weights_sha256, epoch.draws_sha256, epoch.data_sha256


DRAWN = ["dropout", "input_noise", "hidden_noise"]
DRAWN += [f"augment__{name}" for name in ("rotation", "scale", "shear", "shift", "elastic")]


@pytest.mark.parametrize(
    ("rows", "held_out", "changes", "expected"),
    [
        (ROWS, HELD_OUT, {}, (False, False, False)),
        (ROWS, HELD_OUT, {"lr": 0.2}, (True, False, False)),
        (ROWS, HELD_OUT, {"batch_norm": True}, (True, False, False)),
        (ROWS, HELD_OUT, {"batch_size": 20}, (True, False, False)),
        (ROWS, HELD_OUT, {"seed": 1}, (True, True, False)),
        (ROWS, HELD_OUT, {"widths": [7, 6]}, (True, True, False)),
        *((ROWS, HELD_OUT, {name: 0.5}, (True, True, False)) for name in DRAWN),
        (flip_a_pixel(ROWS), HELD_OUT, {}, (True, False, True)),
        (ROWS, flip_a_pixel(HELD_OUT), {}, (False, False, True)),
    ],
)
def test_digests_say_whether_weights_draws_or_data_differ(
    rows: Labelled, held_out: Labelled, changes: dict[str, Any], expected: tuple[bool, ...]
) -> None:
    [epoch, later, _], [other, *_] = run(), run(rows, held_out, **changes)
    pairs = zip(digests(epoch), digests(other), strict=True)
    assert tuple(one != another for one, another in pairs) == expected
    pairs = zip(digests(epoch), digests(later), strict=True)
    assert [one != another for one, another in pairs] == [True, True, False]


def test_the_sign_of_a_zero_reaches_no_digest() -> None:
    trainer = begin(momentum=0.0, epochs=1)
    [epoch] = trainer.run()
    kept = trainer.descent
    assert kept.momentum.signbit().any()
    assert not kept.momentum.any()
    expected = digest(kept.values, torch.zeros_like(kept.momentum), kept.averages)
    assert epoch.weights_sha256 == brief(expected)


@pytest.mark.parametrize("networks", [2, 3])
def test_a_mean_of_epochs_is_of_their_measures_and_of_the_digests_of_their_digests(
    networks: int,
) -> None:
    epochs = [Epoch(7, one, 2 * one, 3 * one, one / 4, *f"{one}bc") for one in range(networks)]
    found, mean = mean_epoch(epochs), (networks - 1) / 2
    names = "".join(map(str, range(networks))), "b" * networks, "c" * networks
    digests = [hashlib.sha256(name.encode()).hexdigest()[:12] for name in names]
    assert found == Epoch(7, mean, 2 * mean, 3 * mean, mean / 4, *digests)
    assert mean_epoch(epochs[:1]) is epochs[0]


def test_rows_on_a_device_are_the_same_of_the_same_shard() -> None:
    own, device = ROWS.shard(Workers(1, 2)), torch.device("meta")
    moved = own.to(device)
    assert (moved.images.device, moved.labels.device) == (device, device)
    assert (moved.first, moved.rows, len(moved.labels)) == (47, 95, 48)


def test_the_network_that_is_kept_is_validated_with_its_averages_and_norms_folded() -> None:
    held_out = Labelled(HELD_OUT.images, HELD_OUT.labels.sort().values)  # most of them wrong
    trainer = begin(ROWS, held_out, averaging=0.9, batch_norm=True, dropout=0.2, epochs=1)
    [epoch] = trainer.run()
    answers = torch.from_numpy(MLP.of(trainer.weights()).answer(held_out.images.numpy()))
    loss = functional.cross_entropy(answers, held_out.labels).item()
    assert epoch.validation_loss == pytest.approx(loss, rel=1e-6)
    sample = Labelled(ROWS.images[::10], ROWS.labels[::10])
    theirs = torch.from_numpy(MLP.of(trainer.weights()).answer(sample.images.numpy()))
    loss = functional.cross_entropy(theirs, sample.labels).item()
    assert epoch.training_loss == pytest.approx(loss, rel=1e-6) != epoch.minimised_loss
    right = (answers.argmax(dim=1) == held_out.labels).sum().item()
    assert 0 < epoch.validation_accuracy == right / 30 < 1
    hidden, last = view_layers(trainer.descent.averages, (PIXELS, 8, CLASSES))
    gains, means, variances = hidden.norm
    sums = held_out.images @ hidden.weights
    sums = functional.batch_norm(sums, means, variances, gains, hidden.bias)
    expected = sums.relu() @ last.weights + last.bias
    assert torch.allclose(answers, expected, atol=0.05 * expected.abs().max().item())
    assert not torch.equal(trainer.descent.averages, trainer.descent.values)


@pytest.mark.parametrize(("rows", "batch_size"), [(95, 94), (95, 1), (1, 10)])
def test_a_batch_of_one_row_cannot_be_normalised(rows: int, batch_size: int) -> None:
    line = f"params.yaml: train.batch_size = {batch_size}: makes a batch of 1 of {rows} rows, "
    line += "without deviation; expected another size, or train.batch_norm = false"
    with pytest.raises(InputError, match=f"^{line}$"):
        run(draw_labelled(rows), batch_norm=True, batch_size=batch_size)


def test_epochs_take_every_row_once_in_a_new_order_and_the_schedule_runs_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[tuple[Tensor, Tensor, Tensor]] = []
    take_step = Trainer.take_step

    def watch(trainer: Trainer, batch: Tensor, schedule: Tensor) -> Tensor:
        logits = take_step(trainer, batch, schedule)
        taken.append((batch, schedule, logits))
        return logits

    monkeypatch.setattr(Trainer, "take_step", watch)
    changes = {"epochs": 2, "schedule": "one_cycle", "averaging": 0.8, "label_smoothing": 0.3}
    epochs, params = run(**changes), Train(**tiny_params({})["train"] | changes)
    batches, schedule, logits = zip(*taken, strict=True)
    expected = [(learning_rate(step, 20, params), share_averaged(step, 0.8)) for step in range(20)]
    assert torch.equal(torch.stack(schedule), torch.tensor(expected))
    orders = torch.cat(batches).split(95)
    assert all(sorted(order.tolist()) == list(range(95)) for order in orders)
    assert not torch.equal(*orders)
    # What is minimised is the mean over rows, with their labels smoothed.
    for order, answers, epoch in zip(orders, torch.cat(logits).split(95), epochs, strict=True):
        loss = functional.cross_entropy(answers, ROWS.labels[order], label_smoothing=0.3)
        assert epoch.minimised_loss == pytest.approx(loss.item(), rel=1e-6)


def test_a_terminal_is_told_the_epoch_and_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, clock = begin(draw_labelled(100), epochs=4), [0.0]
    next(trainer.run())  # in no time, and before it goes on
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("tqdm.std.time", lambda: clock[0])
    take_step = trainer.take_step

    def take_a_minute(*found: Tensor) -> Tensor:
        clock[0] += 60
        return take_step(*found)

    monkeypatch.setattr(trainer, "take_step", take_a_minute)
    for epoch in trainer.run():
        told = capsys.readouterr().err
        rows = re.findall(r"epoch (\d) of 4 +(\d+)%[^\r]* (\d\d):\d\d left", told)
        assert len(rows) > 2
        for number, percent, minutes in (map(int, row) for row in rows):
            assert number == epoch.epoch == 1 + (percent - 1) // 25
            assert minutes == pytest.approx(40 * (1 - percent / 100), abs=1.3)  # for ten an epoch
        assert told.endswith(" \r")  # what is printed of the epoch has a row for itself
