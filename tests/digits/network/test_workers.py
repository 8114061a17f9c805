from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any, TypeVar
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, distributed

from digits.exact import power_within, quantise, total
from digits.network.training import Labelled, Trainer
from digits.network.workers import Share, Workers
from digits.params import Train
from tests.conftest import draw_labelled, tiny_params
from tests.sandbox import CLASSES

Found = TypeVar("Found")
ROWS, HELD_OUT = draw_labelled(95), draw_labelled(31, seed=1)


@dataclass
class Threaded(Workers):
    """A worker in a thread, which finds what the others give in a table that they share."""

    table: list[Any] = field(default_factory=list)
    barrier: Barrier = field(default_factory=lambda: Barrier(1))

    def _exchange(
        self,
        sent: Tensor,
        found: Tensor,
        given: list[int] | None = None,
        taken: list[int] | None = None,
    ) -> None:
        parts = sent.split(given or len(sent) // self.size)
        self.table[self.rank] = [part.clone() for part in parts]
        self.barrier.wait(60)
        received = [parts[self.rank] for parts in self.table]
        if taken:
            assert [len(one) for one in received] == taken
        found.copy_(torch.cat(received))
        self.barrier.wait(60)


def together(size: int, function: Callable[[Workers], Found]) -> list[Found]:
    """Return what a function returns in each of so many workers."""
    table, barrier = [None] * size, Barrier(size)

    def work(rank: int) -> Found:
        try:
            return function(Threaded(rank, size, table=table, barrier=barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, range(size)))


DISTURBED = {"dropout": 0.3, "input_noise": 0.2, "hidden_noise": 0.1, "averaging": 0.9}
MOVED = {"augment.rotation": 9.0, "augment.shift": 1.0, "augment.elastic": 5.0}


def train(workers: Workers, changes: dict[str, Any]) -> tuple[Any, ...]:
    """Return all that a training comes to, as bytes and numbers."""
    changed = {f"train.{key}": value for key, value in changes.items()}
    params = Train(**tiny_params({"train.widths": [9, 7], "train.epochs": 2} | changed)["train"])
    trainer = Trainer(ROWS.shard(workers), HELD_OUT.shard(workers), CLASSES, params, workers)
    history = list(trainer.run())
    numbers = trainer.descent.values, trainer.descent.momentum, trainer.descent.averages
    return history, [one.numpy().tobytes() for one in numbers]


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 3, "batch_norm": True},  # fewer rows than workers
        {"batch_norm": True, "nesterov": True, "label_smoothing": 0.1},
        {"batch_norm": True, "widths": [2], **DISTURBED},
        {"batch_norm": True, **MOVED, "batch_size": 95},
    ],
    ids=["small", "normalised", "disturbed", "moved"],
)
def test_any_number_of_workers_comes_to_the_same_bytes(changes: dict[str, Any], size: int) -> None:
    expected = train(Workers(), changes)
    assert together(size, lambda workers: train(workers, changes)) == [expected] * size


def test_batches_of_more_rows_than_float32_sums_exactly_come_to_the_same_bytes() -> None:
    images, labels = ROWS.images.repeat(30, 1), ROWS.labels.repeat(30)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    rows = Labelled(images + noise, labels)
    params = Train(**tiny_params({"train.batch_size": len(labels), "train.epochs": 2})["train"])

    def fit(workers: Workers) -> bytes:
        trainer = Trainer(rows.shard(workers), HELD_OUT.shard(workers), CLASSES, params, workers)
        list(trainer.run())
        return trainer.descent.values.numpy().tobytes()

    assert together(3, fit) == [fit(Workers())] * 3


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_every_row_is_of_one_worker_and_has_its_place_in_its_shard(size: int) -> None:
    batch = torch.randperm(41, generator=torch.Generator().manual_seed(0))[:17]
    dealt = [Workers(rank, size).deal(batch, 41) for rank in range(size)]
    images = torch.arange(41)
    rows = [images[Workers(rank, size).shard(41)][own] for rank, (_, own) in enumerate(dealt)]
    assert torch.equal(torch.cat(rows).sort().values, batch.sort().values)
    for (share, _), own in zip(dealt, rows, strict=True):
        assert torch.equal(batch[share.own], own)
        assert (list(share.counts), share.rows) == ([len(one) for one in rows], 17)


def test_weights_are_known_to_all_though_each_knows_the_power_of_its_own_lines_alone() -> None:
    weights = [torch.randn(shape, generator=torch.Generator().manual_seed(0)) for shape in [(7, 3)]]

    def quantised(workers: Workers) -> list[Tensor]:
        found = []
        for grown in (0, 0, 6):  # lines of the last worker, which then have a larger unit
            known = torch.full((7, 3), torch.nan)
            own = workers.shard(7)
            known[own] = weights[0][own]
            if workers.rank == workers.size - 1:
                known[own] *= 2**grown
            [one] = workers.quantise([known])
            assert torch.equal(one.digits[:, 0] * one.unit, one.values)
            found.append(one.values)
        return found

    everyone = together(3, quantised)
    grown = weights[0].clone()
    grown[Workers(2, 3).shard(7)] *= 2**6
    expected = [quantise(one, 6).values for one in (weights[0], weights[0], grown)]
    for found in everyone:
        assert all(map(torch.equal, found, expected))


def test_the_content_of_whoever_has_done_the_most_is_everyones() -> None:
    contents = [(b"", 0, 0), (b"older", 2, 9), (b"newest", 3, 1), (b"new", 3, 0)]
    found = together(4, lambda workers: workers.furthest(*contents[workers.rank]))
    assert found == [b"newest"] * 4


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_a_total_is_of_all_terms_whoever_has_them(size: int) -> None:
    values = torch.rand(41, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = together(size, lambda workers: workers.total(values[workers.shard(41)], 41))
    assert found == [total(values)] * size


def test_an_exchange_is_of_padded_bytes_as_long_as_each_says_and_awaited_awake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few, mine = torch.tensor([1, 2, 3], dtype=torch.uint8), torch.rand(2, 2)
    theirs, work = torch.tensor([3, 4], dtype=torch.int16), Mock()
    work.is_completed.side_effect = [False, False, True]

    def exchange(
        found: Tensor, sent: Tensor, taken: list[int], given: list[int], *, async_op: bool
    ) -> Mock | None:
        assert (taken, given) == ([0, 8], [0, 24])
        assert sent.tolist() == [*b"\1\2\3", *[0] * 5, *mine.numpy().tobytes()]
        found[:4] = theirs.view(torch.uint8)
        return work if async_op else None

    monkeypatch.setattr(distributed, "all_to_all_single", exchange)
    taken = torch.empty_like(theirs)
    Workers(0, 2).swap([[], [few, mine]], [[], [taken]])
    assert torch.equal(taken, theirs)
    assert work.is_completed.call_count == 3
    work.wait.assert_called_once()


def test_a_share_of_no_rows_has_the_smallest_power() -> None:
    share = Share(Workers(), torch.arange(0), [0])
    assert share.quantise(torch.empty(0, 3), 6).power == power_within(torch.zeros(1))
