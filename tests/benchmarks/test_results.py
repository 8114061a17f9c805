from pathlib import Path

import pytest

from benchmarks.measure import Cost
from benchmarks.results import FIT, MODES, PEERS, Measured, draw, ratio, report, spread, table
from benchmarks.workspace import STAGES


@pytest.fixture
def measured() -> Measured:
    """Three runs in which a subject takes as many seconds as its place in the list, about."""
    subjects = (*PEERS, *MODES, "nothing", "nothing here")
    names = [*subjects, *(f"{stage} {mode}" for stage in STAGES for mode in MODES)]
    costs = {
        name: [Cost(place * factor, 2.0, place * 10**8, "") for factor in (2, 1, 0.5)]
        for place, name in enumerate(names, start=1)
    }
    seconds = {f"fit {name}": [10.0 / place] for place, name in enumerate(subjects, start=1)}
    seconds |= {f"rate {mode}": [FIT / 1.5] for mode in MODES}
    seconds |= {f"step {mode}": [3 / 2735] for mode in MODES}
    seconds |= {f"{part} {stage}": [0.25] for part in ("imports", "bytes") for stage in STAGES}
    return Measured(costs, seconds, {name: [0.97] for name in (*PEERS, *MODES)})


def test_a_ratio_is_of_medians_and_a_spread_shows_the_extremes() -> None:
    assert ratio([1.0, 9.0, 2.0], [8.0, 4.0, 0.0]) == 0.5
    assert spread([1.04, 9.0, 2.0]) == "2.0 (1.0 to 9.0)"


def test_a_table_is_markdown() -> None:
    assert table(("", "s"), [("a", "1")]) == "|  | s |\n| --- | ---: |\n| a | 1 |\n"


def test_the_page_begins_with_the_ratios_that_were_aimed_at(measured: Measured) -> None:
    page = report(measured)
    for line in (
        "| fit, machine, of fastai's | 0.20 | 0.30 |",  # fifth of six, and so 10 / 5 of 10 s
        "| fit, portable, of its floor | 1.11 | 2.00 |",  # 10 / 6 s, and 1.5 s
        "| CSV to submission, machine, of fastai's | 5.00 | 0.65 |",
        "| peak memory, portable, of fastai's | 6.00 | 0.60 |",
        "| nothing to do, of an empty project's | 1.14 | 1.50 |",
        "| this, machine | 5.0 (2.5 to 10.0) | 5.00 | 2.0 (2.0 to 2.0) | 500 | 0.9700 |",
        "| this, portable | 1.7 (1.7 to 1.7) | 0.17 | 1.11 | 2.00 |",
        "| prepare, machine | 9.0 (4.5 to 18.0) | 0.5 | 18.00 | 0.2 | 0.2 | 0.0 | 900 |",
    ):
        assert line in page.splitlines()
    assert page.index("of fastai's | 0.20") < page.index("## CSV to submission")
    assert "{" not in page


def test_the_chart_is_a_picture(measured: Measured, tmp_path: Path) -> None:
    draw(tmp_path / "chart.png", measured)
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
