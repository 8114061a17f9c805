"""steps: a few steps of a training, in the working folder, and what of them workers wait for.

    DIGITS_WORKERS=2 python -m benchmarks.steps
    python -m benchmarks.steps 16

Prints what a step of params.yaml's recipe takes in the group of workers that this starts, or in one
process. The second does what one of 16 workers does, the one with the most rows of each batch, but
exchanges nothing.
"""

import sys
from dataclasses import asdict, dataclass, field
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from digits.data.classes import load_classes
from digits.errors import run_command
from digits.network.device import choose_device
from digits.network.group import asked, join, start
from digits.network.training import Labelled, Trainer
from digits.network.workers import Workers
from digits.params import load_params
from stages.train import load_split

ROWS, STEPS, EPOCHS = 32_000, 40, 3
SMALL, LARGE = (8, 500), (2**22, 9)  # bytes to each other worker, and how often


@dataclass
class Traffic:
    """What went between workers."""

    seconds: float = 0.0
    exchanges: int = 0
    sent: int = 0  # bytes, to others


@dataclass
class Counted(Workers):
    """A worker that counts what it exchanges; one that is not real exchanges it with itself."""

    is_real: bool = True
    traffic: Traffic = field(default_factory=Traffic)

    def _exchange(
        self,
        sent: Tensor,
        found: Tensor,
        given: list[int] | None = None,
        taken: list[int] | None = None,
    ) -> None:
        begun, lengths = perf_counter(), given or [len(sent) // self.size] * self.size
        if self.is_real:
            super()._exchange(sent, found, given, taken)
        else:
            parts = zip(sent.split(lengths), found.split(taken or lengths), strict=True)
            for one, other in parts:
                least = min(len(one), len(other))
                other[:least].copy_(one[:least])
                other[least:].zero_()
        self.traffic.seconds += perf_counter() - begun
        self.traffic.exchanges += 1
        self.traffic.sent += sent.nbytes - lengths[self.rank] * sent[:1].nbytes


def time_exchange(workers: Workers, length: int, times: int) -> float:
    """Return the median seconds of an exchange of so many bytes with each other worker."""
    values, found = torch.zeros(length, dtype=torch.uint8), list[float]()
    for _ in range(times):
        begun = perf_counter()
        workers.gather(values)
        found.append(perf_counter() - begun)
    return median(found)


def busiest_first(batch: Tensor, size: int) -> Tensor:
    """Return a batch with its rows dealt otherwise: the first of so many workers has the most."""
    shard = ROWS // size
    most = (batch // shard).bincount(minlength=size).argmax()
    return (batch - most * shard) % ROWS


@torch.inference_mode()
def time_steps(workers: Counted) -> tuple[float, Traffic]:
    """Return the seconds of a step, of the fastest epoch, and the traffic of it."""
    params, classes = load_params().train, len(load_classes())
    split, held_out = load_split(classes, "train")
    rows = Labelled(split.images[:ROWS], split.labels[:ROWS]).shard(workers)
    trainer = Trainer(rows, held_out.shard(workers), classes, params, workers)
    # Where nothing is exchanged, numbers are wrong: no rate, so that they remain as they were.
    schedule, found = torch.tensor([params.lr if workers.is_real else 0.0, 0.001]), []
    for _ in range(EPOCHS):
        order = torch.randperm(ROWS, generator=trainer.generator)
        workers.traffic, begun = Traffic(), perf_counter()
        for batch in order.split(params.batch_size)[:STEPS]:
            own = batch if workers.is_real else busiest_first(batch, workers.size)
            trainer.take_step(own, schedule)
        found.append((perf_counter() - begun, workers.traffic))
    return min(found, key=lambda one: one[0])


def main() -> None:
    """Time the steps, and exchanges of a few and of many bytes."""
    if count := asked():
        start(count, "benchmarks.steps", "1")
        return
    with join(choose_device(), {}) as one:
        size = one.size if one.size > 1 else int(sys.argv[1] if sys.argv[1:] else 1)
        workers = Counted(one.rank, size, one.leads, one.device, is_real=size == one.size)
        seconds, traffic = time_steps(workers)
        print("step", seconds / STEPS)
        for name, value in asdict(traffic).items():
            print(name, value / STEPS)
        if one.size > 1:
            print("latency", time_exchange(one, *SMALL))
            print("large", time_exchange(one, *LARGE) / LARGE[0])


if __name__ == "__main__":
    run_command(main)
