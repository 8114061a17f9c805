"""What was measured, in Markdown and in a chart: medians, their spread, and ratios of medians."""

from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.measure import PEERS, STAGES, THIS
from digits.files import replacing
from tools.doctor import describe_machine

FOLDER = Path(__file__).parent
SUBJECTS = [*PEERS, THIS]


class Medians:
    """The medians of a table of what was measured, by subject, stage and quantity."""

    def __init__(self, table: pd.DataFrame) -> None:
        groups = table.groupby(["subject", "stage", "quantity"])["value"]
        self._values = dict(iter(groups))

    def __call__(self, subject: object, stage: str, quantity: str = "wall") -> float:
        """Return the median of the runs."""
        return float(self._values[subject, stage, quantity].median())

    def spread(self, subject: object, stage: str, quantity: str = "wall", decimals: int = 1) -> str:
        """Return the median, and the least and the greatest value."""
        values = self._values[subject, stage, quantity]
        low, middle, high = (f"{values.quantile(share):.{decimals}f}" for share in (0, 0.5, 1))
        return f"{middle} ({low} to {high})"

    def runs(self, subject: object) -> int:
        """Return how many runs of the training there were."""
        return len(self._values[subject, "train", "wall"])


def render(name: str, table: pd.DataFrame, **values: Any) -> str:  # noqa: ANN401  (as Jinja has it)
    """Return a page: a template of this folder, filled in from what was measured."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    given = {"median": Medians(table), "machine": describe_machine(), "this": THIS} | values
    return templates.get_template(name).render(given)


def report(table: pd.DataFrame) -> str:
    """Return all results in Markdown, the ratios first."""
    return render("results.md.jinja", table, stages=STAGES, subjects=SUBJECTS)


def draw(path: Path, table: pd.DataFrame) -> None:
    """Draw what CSV to submission and the fit take, one bar for each subject, fastai's being 1."""
    medians, figure = Medians(table), Figure((10, 3.2), 100, layout="constrained")
    panels = {"all": "CSV to submission", "fit": "the fit of five epochs"}
    for axes, stage in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        ratios = [medians(name, stage) / medians("fastai", stage) for name in SUBJECTS]
        bars = axes.barh(SUBJECTS, ratios, color=["#9aa5b1"] * len(PEERS) + ["#1a7f37"])
        axes.bar_label(bars, [f" {value:.2f}" for value in ratios])
        axes.set_title(f"{panels[stage]}: time, fastai = 1")
        axes.set_xlim(right=1.15 * max(ratios))
    axes.invert_yaxis()  # shared: the first on top
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def publish(name: str, text: str) -> None:
    """Write a page to this folder, and print it."""
    with replacing(FOLDER / f"{name}.md") as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")
    print(text)
