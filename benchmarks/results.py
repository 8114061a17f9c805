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
from proofs.machine import describe_processor

Values = Sequence[float]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
TEMPLATE = Path(__file__).with_name("template.md")

PEERS = ("fastai", "Lightning", "DataLoader", "scikit-learn")
MODES = ("machine", "portable")
SUBJECTS = (*PEERS, *MODES)
# What every subject computes: five epochs of 35,000 rows, 7,000 rows after each, 28,000 at the end.
WIDTHS = (784, 200, 200, 200, 10)
PARTS = ("imports", "bytes", "products")  # of the floor of a stage
STEPS = 5 * -(-35_000 // 64)
FIT = operations(WIDTHS, training=5 * 35_000, inference=5 * 7000)
PRODUCTS = {
    "prepare": 0,
    "train": FIT,
    "evaluate": operations(WIDTHS, 0, 7000),
    "predict": operations(WIDTHS, 0, 28_000),
}


@dataclass(frozen=True)
class Measured:
    """All runs of all subjects, by name, in order.

    Attributes:
        costs: of whole commands: a peer, a mode ("portable": the pipeline), a stage in a mode
            ("train portable"), a `dvc repro` without work ("nothing here"; "nothing" in an empty
            project).
        seconds: of "fit" and a peer or mode, "imports" and "bytes" and a stage, and the products of
            a "step" and a mode; and floating-point operations a second, "rate" and a mode.
        accuracies: of the submissions of peers and modes, from 0 to 1.
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

    def fit_floor(self, mode: str) -> float:
        """Return the least seconds of a fit: its products at the speed of large ones."""
        return FIT / median(self.seconds[f"rate {mode}"])

    def small_products(self, mode: str) -> float:
        """Return the seconds of the products of all steps, each as small as it is."""
        return STEPS * median(self.seconds[f"step {mode}"])

    def stage_floor(self, stage: str, mode: str) -> tuple[float, float, float]:
        """Return the least seconds of a stage: for its imports, its bytes and its products."""
        rate = median(self.seconds[f"rate {mode}"])
        imports, copied = (median(self.seconds[f"{part} {stage}"]) for part in PARTS[:2])
        return imports, copied, PRODUCTS[stage] / rate


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
    fit_header = ("", "seconds", "of fastai's", "of the floor", "its products")
    whole_header = ("", "seconds", "of fastai's", "CPU s", "peak MB", "accuracy")
    return TEMPLATE.read_text(encoding="utf-8").format(
        machine=describe_machine(),
        versions=describe_peers(),
        runs=len(measured.costs[PEERS[0]]),
        goals=table(("", "ratio", "aim"), goals(measured)),
        wholes=table(whole_header, wholes(measured)),
        rates=rates(measured),
        fits=table(fit_header, fits(measured)),
        stages=table(stage_header, stages(measured)),
        nothing=table(("", "seconds"), nothing(measured)),
    )


def describe_machine() -> str:
    """Return processor, cores, memory and versions in words."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{describe_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def describe_peers() -> str:
    """Return the libraries that are measured beside this pipeline, and their versions, in words."""
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    return ", ".join(f"{name} {pins[name]}" for name in ("fastai", "lightning", "scikit-learn"))


def goals(measured: Measured) -> Iterable[tuple[str, str, str]]:
    """Yield what was aimed at: in words, the ratio that was measured, the greatest hoped for."""
    fastai = measured.seconds["fit fastai"]
    for mode, most in zip(MODES, (0.30, 0.50), strict=True):
        found = ratio(measured.seconds[f"fit {mode}"], fastai)
        yield f"fit, {mode}, of fastai's", f"{found:.2f}", f"{most:.2f}"
    for mode in MODES:
        found = median(measured.seconds[f"fit {mode}"]) / measured.fit_floor(mode)
        yield f"fit, {mode}, of its floor", f"{found:.2f}", "2.00"
    for mode, most in zip(MODES, (0.65, 0.85), strict=True):
        found = ratio(measured.walls(mode), measured.walls("fastai"))
        yield f"CSV to submission, {mode}, of fastai's", f"{found:.2f}", f"{most:.2f}"
    for mode in MODES:
        found = ratio(measured.memory(mode), measured.memory("fastai"))
        yield f"peak memory, {mode}, of fastai's", f"{found:.2f}", "0.60"
    found = ratio(measured.walls("nothing here"), measured.walls("nothing"))
    yield "nothing to do, of an empty project's", f"{found:.2f}", "1.50"


def label(name: str) -> str:
    """Return how a subject is called: this pipeline by its mode of arithmetic."""
    return f"this, {name}" if name in MODES else name


def wholes(measured: Measured) -> Iterable[list[str]]:
    """Yield a row for each subject: what CSV to submission took, and what came of it."""
    for name in SUBJECTS:
        costs = measured.costs[name]
        yield [
            label(name),
            spread(measured.walls(name)),
            f"{ratio(measured.walls(name), measured.walls('fastai')):.2f}",
            spread([cost.cpu for cost in costs]),
            f"{median(measured.memory(name)):.0f}",
            f"{median(measured.accuracies[name]):.4f}",
        ]


def rates(measured: Measured) -> str:
    """Return the speed of large products in each mode, in words."""
    found = ((mode, median(measured.seconds[f"rate {mode}"]) / 1e9) for mode in MODES)
    return ", ".join(f"{rate:.0f} GFLOP/s in {mode}" for mode, rate in found)


def fits(measured: Measured) -> Iterable[list[str]]:
    """Yield a row for each subject: what the fit took."""
    for name in SUBJECTS:
        seconds, of_floor = measured.seconds[f"fit {name}"], ["", ""]
        if name in MODES:
            floor = measured.fit_floor(name)
            of_floor = [f"{median(seconds) / floor:.2f}"]
            of_floor.append(f"{measured.small_products(name) / floor:.2f}")
        of_fastai = ratio(seconds, measured.seconds["fit fastai"])
        yield [label(name), spread(seconds), f"{of_fastai:.2f}", *of_floor]


def stages(measured: Measured) -> Iterable[list[str]]:
    """Yield a row for each stage in each mode: what it took, and the least it could take."""
    for mode in MODES:
        for stage in STAGES:
            walls, parts = measured.walls(f"{stage} {mode}"), measured.stage_floor(stage, mode)
            yield [
                f"{stage}, {mode}",
                spread(walls),
                f"{sum(parts):.1f}",
                f"{median(walls) / sum(parts):.2f}",
                *(f"{part:.1f}" for part in parts),
                f"{median(measured.memory(f'{stage} {mode}')):.0f}",
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
        colours = ["#9aa5b1"] * len(PEERS) + ["#1a7f37"] * len(MODES)
        bars = axes.barh([label(name) for name in SUBJECTS], ratios, color=colours)
        axes.bar_label(bars, [f" {value:.2f}" for value in ratios])
        axes.set_title(f"{title}: time, fastai = 1")
        axes.set_xlim(right=1.15 * max(ratios))
    axes.invert_yaxis()  # shared: the first on top
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
