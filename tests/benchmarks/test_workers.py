from typing import Any

import pytest
import torch

from benchmarks.workers import Step
from digits.network.training import Labelled, Trainer
from digits.network.workers import Workers
from digits.params import Train
from tests.conftest import tiny_params
from tests.digits.network.test_workers import Threaded, together

# Sizes of which no worker's part has to be filled up to whole words of 8 bytes.
PIXELS, WIDTHS, CLASSES, ROWS, STEPS = 64, (32, 64, 32), 4, 48, 2


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_step_sends_the_bytes_that_are_reckoned(
    batch_norm: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[int]] = [[] for _ in range(size)]
    exchange = Threaded._exchange  # noqa: SLF001

    def counting(one: Threaded, values: torch.Tensor, *rest: Any) -> None:
        own = rest[1][one.rank] if len(rest) > 1 else 1
        sent[one.rank].append(values[0].nbytes * (len(values) - own))
        exchange(one, values, *rest)

    monkeypatch.setattr(Threaded, "_exchange", counting)
    changes = {"train.widths": list(WIDTHS), "train.batch_norm": batch_norm}
    params = Train(**tiny_params(changes | {"train.batch_size": ROWS})["train"])
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2 * ROWS, PIXELS, generator=generator)
    rows = Labelled(images, torch.arange(2 * ROWS) % CLASSES)

    def work(workers: Workers) -> None:
        shard = rows.shard(workers)
        trainer = Trainer(shard, shard, CLASSES, params, workers)
        for number in range(STEPS):
            if number:  # the first step tells the units of weights as well
                sent[workers.rank].clear()
            trainer.take_step(torch.arange(ROWS) * 2, torch.tensor([0.0, 0.0]))

    together(size, work)
    step = Step((PIXELS, *WIDTHS, CLASSES), ROWS, batch_norm)
    assert {len(one) for one in sent} == {step.exchanges}
    assert sum(map(sum, sent)) == size * step.sent(size)
