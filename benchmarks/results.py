"""What was measured, in tables and in a chart: medians, their spread, and ratios of medians."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
import torch
from matplotlib.figure import Figure

from benchmarks.floor import operations
from benchmarks.measure import Cost
from benchmarks.workspace import STAGES
from digits.files import replacing
from tools.doctor import describe_processor

Values = Sequence[float]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
TEMPLATE = Path(__file__).with_name("template.md")

PEERS = ("fastai", "Lightning", "DataLoader", "scikit-learn")
THIS = "this"
SUBJECTS = (*PEERS, THIS)
# What every subject computes: five epochs of 35,000 rows, 7,000 rows after each, 28,000 at the end.
WIDTHS = (784, 200, 200, 200, 10)
PARTS = ("imports", "bytes", "products")  # of the floor of a stage
STEPS = 5 * -(-35_000 // 64)
PRODUCTS = {
    "prepare": 0,
    "train": operations(WIDTHS, training=5 * 35_000, inference=5 * 7000),
    "evaluate": operations(WIDTHS, 0, 7000),
    "predict": operations(WIDTHS, 0, 28_000),
}


@dataclass(frozen=True)
class Measured:
    """All runs of all subjects, by name, in order.

    Attributes:
        costs: of whole commands: a subject, a stage, a `dvc repro` without work ("nothing here";
            "nothing" in an empty project).
        seconds: of "fit" and a subject, of "imports" and "bytes" and a stage, and of the products
            of a "step"; and, as "rate", float32 operations a second.
        accuracies: of the subjects' submissions, from 0 to 1.
    """

    costs: dict[str, list[Cost]]
    seconds: dict[str, list[float]]
    accuracies: dict[str, list[float]]

    def walls(self, name: str) -> list[float]:
        """Return the seconds from start to end of each run of a command."""
        return [cost.wall for cost in self.costs[name]]

    def memory(self, name: str) -> list[float]:
        """Return the peak memory of each run of a command, in MB."""
        return [cost.memory / 1e6 for cost in self.costs[name]]

    def product_floor(self, stage: str) -> float:
        """Return the seconds of the products of a stage at the speed of large ones."""
        return PRODUCTS[stage] / median(self.seconds["rate"])

    def stage_floor(self, stage: str) -> tuple[float, float, float]:
        """Return the least seconds of a stage: for its imports, its bytes and its products."""
        imports, copied = (median(self.seconds[f"{part} {stage}"]) for part in PARTS[:2])
        return imports, copied, self.product_floor(stage)


def ratio(values: Values, of: Values) -> float:
    """Return the ratio of two medians."""
    return median(values) / median(of)


def spread(values: Values, decimals: int = 1) -> str:
    """Return the median, and the least and the greatest value."""
    low, high = min(values), max(values)
    return f"{median(values):.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first are aligned to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, rule, *rows))


def report(measured: Measured) -> str:
    """Return all results in Markdown, the ratios first."""
    stage_header = ("", "seconds", "floor", "of the floor", *PARTS, "peak MB")
    fit_header = ("", "seconds", "this, of it", "of the floor")
    whole_header = ("", "seconds", "this, of it", "CPU s", "peak MB", "accuracy")
    return TEMPLATE.read_text(encoding="utf-8").format(
        machine=describe_machine(),
        versions=describe_peers(),
        runs=len(measured.costs[PEERS[0]]),
        goals=table(("", "ratio", "aim"), goals(measured)),
        wholes=table(whole_header, wholes(measured)),
        rate=f"{median(measured.seconds['rate']) / 1e9:.0f}",
        floor=f"{measured.product_floor('train'):.1f}",
        steps=f"{STEPS * median(measured.seconds['step']):.1f}",
        fits=table(fit_header, fits(measured)),
        stages=table(stage_header, stages(measured)),
        nothing=table(("", "seconds"), nothing(measured)),
    )


def describe_machine() -> str:
    """Return processor, cores, memory and versions in words."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{describe_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def describe_peers() -> str:
    """Return the libraries that are measured beside this pipeline, and their versions, in words."""
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    return ", ".join(f"{name} {pins[name]}" for name in ("fastai", "lightning", "scikit-learn"))


def goals(measured: Measured) -> Iterable[tuple[str, str, str]]:
    """Yield what was aimed at: in words, the ratio that was measured, the greatest hoped for."""
    fit = measured.seconds[f"fit {THIS}"]
    walls, memory = measured.walls, measured.memory
    floor = [measured.product_floor("train")]
    for name, values, of, most in (
        ("fit, of fastai's", fit, measured.seconds["fit fastai"], "0.50"),
        ("fit, of its floor", fit, floor, "2.00"),
        ("CSV to submission, of fastai's", walls(THIS), walls("fastai"), "0.85"),
        ("peak memory, of fastai's", memory(THIS), memory("fastai"), "0.60"),
        ("nothing to do, of an empty project's", walls("nothing here"), walls("nothing"), "1.50"),
    ):
        yield name, f"{ratio(values, of):.2f}", most


def wholes(measured: Measured) -> Iterable[list[str]]:
    """Yield a row for each subject: what CSV to submission took, and what came of it."""
    for name in SUBJECTS:
        yield [
            name,
            spread(measured.walls(name)),
            f"{ratio(measured.walls(THIS), measured.walls(name)):.2f}",
            spread([cost.cpu for cost in measured.costs[name]]),
            f"{median(measured.memory(name)):.0f}",
            f"{median(measured.accuracies[name]):.4f}",
        ]


def fits(measured: Measured) -> Iterable[list[str]]:
    """Yield a row for each subject: what the fit took."""
    for name in SUBJECTS:
        seconds = measured.seconds[f"fit {name}"]
        this = ratio(measured.seconds[f"fit {THIS}"], seconds)
        of_floor = median(seconds) / measured.product_floor("train")
        yield [name, spread(seconds), f"{this:.2f}", f"{of_floor:.2f}"]


def stages(measured: Measured) -> Iterable[list[str]]:
    """Yield a row for each stage: what it took, and the least it could take."""
    for stage in STAGES:
        walls, parts = measured.walls(stage), measured.stage_floor(stage)
        yield [
            stage,
            spread(walls),
            f"{sum(parts):.1f}",
            f"{median(walls) / sum(parts):.2f}",
            *(f"{part:.1f}" for part in parts),
            f"{median(measured.memory(stage)):.0f}",
        ]


def nothing(measured: Measured) -> Iterable[list[str]]:
    """Yield what a `dvc repro` takes that has nothing to do."""
    yield ["`dvc repro` here", spread(measured.walls("nothing here"), 2)]
    yield ["`dvc repro` in an empty project of one stage", spread(measured.walls("nothing"), 2)]


def draw(path: Path, measured: Measured) -> None:
    """Draw what CSV to submission and the fit take, one bar for each subject, fastai's being 1."""
    panels = {
        "CSV to submission": [measured.walls(name) for name in SUBJECTS],
        "the fit of five epochs": [measured.seconds[f"fit {name}"] for name in SUBJECTS],
    }
    figure = Figure((10, 3.2), 100, layout="constrained")
    for axes, (title, values) in zip(
        figure.subplots(1, 2, sharey=True), panels.items(), strict=True
    ):
        ratios = [ratio(each, values[0]) for each in values]
        colours = ["#9aa5b1"] * len(PEERS) + ["#1a7f37"]
        bars = axes.barh(SUBJECTS, ratios, color=colours)
        axes.bar_label(bars, [f" {value:.2f}" for value in ratios])
        axes.set_title(f"{title}: time, fastai = 1")
        axes.set_xlim(right=1.15 * max(ratios))
    axes.invert_yaxis()  # shared: the first on top
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
