"""Training in several workers: measured with one and two, and reckoned for more of them.

What a worker computes is measured for any number: `benchmarks.steps` does the part of one of them.
What they exchange is reckoned, from the sizes of the network and of the batch.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd

from benchmarks.measure import COLUMNS, ROOT, Row, printed, run
from benchmarks.show import Medians, render
from digits.params import PARAMS, Train, as_yaml, load_recipe

RECIPES = ("champion", "fast", "one_cycle")
COUNTS = (1, 2, 4, 8, 16, 64, 1000)
WIDTHS = (200, 1000, 4000)
PIXELS, CLASSES, ROWS = 784, 10, 35_000
# Seconds of champion's step on an NVIDIA H200 alone, whose 300 epochs take 130.
GPU = 130 / (300 * 137)
MEASURED = ("step", "seconds", "exchanges", "sent")
WAYS = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "2 workers": {"OMP_NUM_THREADS": "1", "DIGITS_WORKERS": "2"},
}


class Link(NamedTuple):
    """What an exchange takes, in seconds."""

    latency: float  # of a few bytes, between two workers
    byte: float  # for each that a worker sends
    message: float = 1e-6  # a processor's, for each worker beyond the second: assumed


LINKS = {"10 Gbit/s Ethernet": Link(30e-6, 8 / 10e9), "100 Gbit/s InfiniBand": Link(2e-6, 8 / 1e11)}


class Step(NamedTuple):
    """The sizes of a step."""

    sizes: Sequence[int]  # pixels, widths of hidden layers, classes
    rows: int  # of a batch
    batch_norm: bool

    @classmethod
    def of(cls, params: Train) -> "Step":
        """Return that of a recipe without noise and dropout."""
        return cls((PIXELS, *params.widths, CLASSES), params.batch_size, params.batch_norm)

    @property
    def weights(self) -> int:
        """How many weights there are."""
        return sum(one * other for one, other in pairwise(self.sizes))

    @property
    def exchanges(self) -> int:
        """How many there are: of weights, slopes of the loss, and factors, and by hidden layer."""
        return 3 + (5 if self.batch_norm else 2) * (len(self.sizes) - 2)

    def sent(self, workers: int) -> float:
        """Return the bytes that a worker sends to all others, in the mean of the workers."""
        layers, hidden = len(self.sizes) - 1, self.sizes[1:-1]
        weights = self.weights / workers + 4 * (layers + layers % 2)
        # Sums, the highest, the lowest and squares go forward, and two sums back, in float64.
        by_hidden = sum(8 * 6 * width + 8 if self.batch_norm else 8 for width in hidden)
        return (workers - 1) * (weights + by_hidden + 4 + self.rows / workers * self.row(workers))

    def row(self, workers: int) -> float:
        """Return the bytes of the factors of a row for one other worker."""
        return sum(self.sizes[:-1]) / workers + 2 * sum(self.sizes[1:])

    def epoch(self, workers: int) -> float:
        """Return what `sent` does, of an epoch, with its end: values, momentum and averages."""
        end = (workers - 1) * 3 * 4 * self.weights / workers
        return -(-ROWS // self.rows) * self.sent(workers) + end

    def predict(self, computing: float, link: Link, workers: int) -> float:
        """Return the seconds of a step, of which the busiest worker computes so many."""
        if workers == 1:
            return computing
        waits = self.exchanges * (link.latency + (workers - 2) * link.message)
        return computing + waits + self.sent(workers) * link.byte

    def reducing_pays(self, workers: int) -> float:
        """Return the rows of a batch from which sums of float32 gradients were fewer bytes."""
        return (2 * 4 - 1) * self.weights / self.row(workers)


def time_way(recipe: str, way: str, folder: Path, *asked: str) -> Iterator[Row]:
    """Time the steps of a recipe in a process, or in workers."""
    params = load_recipe(ROOT / f"recipes/{recipe}.yaml")
    (folder / PARAMS).write_text(as_yaml(params.model_dump(mode="json")), encoding="utf-8")
    name = f"{asked[0]} alone" if asked else way
    _, output = run(["python", "-m", "benchmarks.steps", *asked], folder, **WAYS[way])
    more = ("latency", "large") if way == "2 workers" else ()
    yield from ((recipe, name, one, printed(output, one)) for one in (*MEASURED, *more))


def measure(runs: int) -> pd.DataFrame:
    """Time all ways in turns, and, once, what each of more workers computes."""
    rows: list[Row] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").symlink_to(ROOT / "data")
        for number in range(runs):
            print(f"run {number + 1} of {runs}", flush=True)
            for recipe in RECIPES:
                for way in WAYS:
                    rows += time_way(recipe, way, folder)
                rows += time_way(recipe, "1 thread", folder, "2")
        for count in COUNTS[2:]:
            rows += time_way(RECIPES[0], "1 thread", folder, f"{count}")
    return pd.DataFrame(rows, columns=COLUMNS)


def computing(medians: Medians, recipe: str, workers: int) -> float:
    """Return the seconds that the busiest of so many workers computes, of one thread each."""
    if workers == 1:
        return medians(recipe, "1 thread", "step")
    name = f"{workers} alone"
    return medians(recipe, name, "step") - medians(recipe, name, "seconds")


def report(table: pd.DataFrame) -> str:
    """Return the results in Markdown."""
    medians, first = Medians(table), RECIPES[0]
    steps = {one: Step.of(load_recipe(ROOT / f"recipes/{one}.yaml").train) for one in RECIPES}
    here = Link(*(medians(first, "2 workers", name) for name in ("latency", "large")))
    alone = {one: computing(medians, first, one) for one in COUNTS}
    kinds = {"these cores": alone, "GPUs, at best": {one: GPU / one for one in COUNTS}}
    links = {"this machine's loopback": here, **LINKS}
    predicted = {
        (kind, link): {n: steps[first].predict(by[n], links[link], n) for n in COUNTS}
        for kind, by in kinds.items()
        for link in links
    }
    return render(
        "workers.md.jinja",
        table,
        runs=int((table["quantity"] == "large").sum()) // len(RECIPES),
        recipes=RECIPES,
        counts=COUNTS,
        first=first,
        here=here,
        gpu=GPU,
        steps=steps,
        alone=alone,
        computing=partial(computing, medians),
        reckoned={one: steps[one].predict(computing(medians, one, 2), here, 2) for one in RECIPES},
        by_width={
            width: Step((PIXELS, *[width] * 3, CLASSES), 256, batch_norm=True) for width in WIDTHS
        },
        predicted=predicted,
        best={key: min(by, key=by.__getitem__) for key, by in predicted.items()},
        useful={
            key: max(n for n in COUNTS if by[1] / by[n] >= n / 2) for key, by in predicted.items()
        },
    )
