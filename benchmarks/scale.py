"""scale: the same pipeline on more and more rows, stage by stage.

    python -m benchmarks.scale --runs 3

Reads data/mnist, as `dvc repro` left it. The rows beyond the first 42,000 and 28,000 are real
images, shifted by up to two pixels each way. Writes benchmarks/scale.md and benchmarks/scale.png.
"""

import shutil
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.compare import DATA, RECIPE
from benchmarks.measure import Cost
from benchmarks.results import describe_machine, spread, table
from benchmarks.workspace import STAGES, Workspace
from digits.data.image_table import ImageTable, write_images
from digits.errors import run_command
from digits.files import replacing
from tests.sandbox import ROOT

FACTORS = (1, 3, 10)
SCALED = (*STAGES, "score")
SIDE, SHIFT = 28, 2
TRAIN_ROWS, TEST_ROWS, VALIDATION_ROWS = 42_000, 28_000, 7000
COUNTS = (8_100_000, 1_000_000_000)  # rows: those of MNIST8M, and a billion
# What a row takes on disk; DVC's cache keeps a second copy of each.
BYTES = {"CSV files": 1827, "tensors": 4 * SIDE * SIDE}
TEMPLATE = Path(__file__).with_name("scale_template.md")
RESULTS, CHART = Path("benchmarks/scale.md"), Path("benchmarks/scale.png")


def shifted_copies(pixels: NDArray[np.uint8], copies: int, seed: int) -> NDArray[np.uint8]:
    """Return images, shape (rows, pixels), and shifted ones after them, `copies` times as many."""
    generator = np.random.default_rng(seed)
    images = pixels.reshape(-1, SIDE, SIDE)
    parts = [images]
    for _ in range(copies - 1):
        part = np.empty_like(images)
        shifts = generator.integers(-SHIFT, SHIFT + 1, (len(images), 2))
        for moved, image, shift in zip(part, images, shifts, strict=True):
            moved[:] = np.roll(image, shift, axis=(0, 1))
        parts.append(part)
    return np.concatenate(parts).reshape(-1, SIDE * SIDE)


def write_tables(folder: Path, factor: int) -> None:
    """Write `factor` times the rows of data/mnist to `folder`."""
    blocks = list(ImageTable(ROOT / DATA / "train.csv", labelled=True).read())
    labels = np.concatenate([block.labels for block in blocks])
    pixels = np.concatenate([block.pixels for block in blocks])
    test = ImageTable(ROOT / DATA / "test.csv", labelled=False).read()
    unlabelled = np.concatenate([block.pixels for block in test])
    folder.mkdir(parents=True)
    write_images(folder / "train.csv", shifted_copies(pixels, factor, 0), np.tile(labels, factor))
    write_images(folder / "test.csv", shifted_copies(unlabelled, factor, 1))
    shutil.copy(ROOT / DATA / "answers.csv", folder)


@dataclass(frozen=True)
class Scaled:
    """The runs of each stage by stage and factor.

    Attributes:
        costs: of the stages, by name and by how many times the rows there were.
    """

    costs: dict[tuple[str, int], list[Cost]]

    def seconds(self, stage: str, factor: int) -> list[float]:
        """Return the wall time of each run."""
        return [cost.wall for cost in self.costs[stage, factor]]

    def microseconds(self, stage: str, factor: int) -> float:
        """Return the median time for each row that the stage reads."""
        return median(self.seconds(stage, factor)) * 1e6 / (rows(stage) * factor)

    def estimate(self, stage: str, count: int) -> float:
        """Return the seconds for `count` rows: as at factor 1, and for further rows as up to 10."""
        first, last = (median(self.seconds(stage, factor)) for factor in (FACTORS[0], FACTORS[-1]))
        further = (last - first) / (rows(stage) * (FACTORS[-1] - FACTORS[0]))
        return first + (count - rows(stage)) * max(further, 0)

    def memory(self, stage: str, factor: int) -> float:
        """Return the median peak memory, in MB."""
        return median(cost.memory for cost in self.costs[stage, factor]) / 1e6


def rows(stage: str) -> int:
    """Return how many rows of images a stage reads at factor 1."""
    read = {"prepare": TRAIN_ROWS + TEST_ROWS, "train": TRAIN_ROWS, "evaluate": VALIDATION_ROWS}
    return read.get(stage, TEST_ROWS)


def measure(runs: int) -> Scaled:
    """Run every stage on every number of rows."""
    costs: dict[tuple[str, int], list[Cost]] = {}
    with TemporaryDirectory() as name:
        workspaces = {}
        for factor in FACTORS:
            changes = {"prepare.validation": VALIDATION_ROWS * factor}
            workspaces[factor] = Workspace(Path(name) / str(factor), RECIPE, changes)
            write_tables(workspaces[factor].folder / DATA, factor)
            print(f"{factor} times the rows: written", flush=True)
        for number in range(runs):
            for factor, workspace in workspaces.items():
                for stage in SCALED:
                    cost = workspace.run_stage(stage)
                    costs.setdefault((stage, factor), []).append(cost)
            print(f"run {number + 1} of {runs}", flush=True)
    return Scaled(costs)


def render(scaled: Scaled) -> str:
    """Return the results in Markdown."""
    header = ("", *(f"{factor} times" for factor in FACTORS), "grows by")
    return TEMPLATE.read_text(encoding="utf-8").format(
        machine=describe_machine(),
        runs=len(scaled.costs[SCALED[0], FACTORS[0]]),
        seconds=table(header[:-1], _seconds(scaled)),
        times=table(header, _growth(scaled.microseconds)),
        memories=table(header, _growth(scaled.memory)),
        estimates=table(("", "8.1 million rows", "1 billion rows"), estimates(scaled)),
    )


def _seconds(scaled: Scaled) -> Iterator[list[str]]:
    for stage in SCALED:
        yield [stage, *(spread(scaled.seconds(stage, factor)) for factor in FACTORS)]


def _growth(figure: Callable[[str, int], float]) -> Iterator[list[str]]:
    """Yield a figure of each stage at each factor, and by how much the last exceeds the first."""
    for stage in SCALED:
        found = [figure(stage, factor) for factor in FACTORS]
        yield [stage, *(f"{value:.0f}" for value in found), f"{found[-1] / found[0] - 1:+.0%}"]


def estimates(scaled: Scaled) -> Iterator[list[str]]:
    """Yield what each stage would take for so many rows that it reads, and what they would need."""
    for stage in SCALED:
        yield [stage, *(in_words(scaled.estimate(stage, count)) for count in COUNTS)]
    for name, size in BYTES.items():
        yield [name, *(f"{count * size / 1e9:,.0f} GB" for count in COUNTS)]


def in_words(seconds: float) -> str:
    """Return a time in the unit in which it is best read."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def draw(path: Path, scaled: Scaled) -> None:
    """Draw time per row and peak memory of each stage by the number of rows."""
    figure = Figure((10, 3.6), 100, layout="constrained")
    times, memories = figure.subplots(1, 2)
    for stage in SCALED:
        for axes, of in ((times, scaled.microseconds), (memories, scaled.memory)):
            axes.plot(FACTORS, [of(stage, factor) for factor in FACTORS], marker="o", label=stage)
    times.set_ylabel("microseconds a row")
    memories.set_ylabel("peak memory (MB)")
    for axes in (times, memories):
        axes.set_xscale("log")
        axes.set_xticks(FACTORS, [str(factor) for factor in FACTORS])
        axes.minorticks_off()
        axes.set_xlabel("times the rows")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    memories.legend(fontsize=8)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def main() -> None:
    """Measure, and write the results."""
    parser = ArgumentParser(description="Measure the stages on more and more rows.")
    parser.add_argument("--runs", type=int, default=3, help="of each stage on each number of rows")
    scaled = measure(parser.parse_args().runs)
    draw(CHART, scaled)
    text = render(scaled)
    with replacing(RESULTS) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run_command(main)
