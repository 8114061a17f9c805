from pathlib import Path

import pytest

from benchmarks.measure import Cost
from benchmarks.results import PRODUCTS, SUBJECTS, Measured, draw, ratio, report, spread, table
from benchmarks.workspace import STAGES


@pytest.fixture
def measured() -> Measured:
    """Three runs in which a subject takes as many seconds as its place in the list, about."""
    names = (*SUBJECTS, "nothing", "nothing here", *STAGES)
    costs = {
        name: [Cost(place * factor, 2.0, place * 10**8, "") for factor in (2, 1, 0.5)]
        for place, name in enumerate(names, start=1)
    }
    seconds = {f"fit {name}": [10.0 / place] for place, name in enumerate(SUBJECTS, start=1)}
    seconds |= {"rate": [PRODUCTS["train"] / 1.6], "step": [3 / 2735]}
    seconds |= {f"{part} {stage}": [0.25] for part in ("imports", "bytes") for stage in STAGES}
    return Measured(costs, seconds, {name: [0.97] for name in SUBJECTS})


def test_a_ratio_is_of_medians_and_a_spread_shows_the_extremes() -> None:
    assert ratio([1.0, 9.0, 2.0], [8.0, 4.0, 0.0]) == 0.5
    assert spread([1.04, 9.0, 2.0]) == "2.0 (1.0 to 9.0)"


def test_a_table_is_markdown() -> None:
    assert table(("", "s"), [("a", "1")]) == "|  | s |\n| --- | ---: |\n| a | 1 |\n"


def test_the_page_begins_with_the_ratios_that_were_aimed_at(measured: Measured) -> None:
    page = report(measured)
    for line in (
        "| fit, of fastai's | 0.20 | 0.50 |",  # the last of five, and so 10 / 5 of 10 s
        "| fit, of its floor | 1.25 | 2.00 |",  # 2 s, and 1.6 s
        "| CSV to submission, of fastai's | 5.00 | 0.85 |",
        "| peak memory, of fastai's | 5.00 | 0.60 |",
        "| nothing to do, of an empty project's | 1.17 | 1.50 |",
        "| DataLoader | 3.0 (1.5 to 6.0) | 1.67 | 2.0 (2.0 to 2.0) | 300 | 0.9700 |",
        "| DataLoader | 3.3 (3.3 to 3.3) | 0.60 | 2.08 |",
        "| this | 2.0 (2.0 to 2.0) | 1.00 | 1.25 |",
        "| prepare | 8.0 (4.0 to 16.0) | 0.5 | 16.00 | 0.2 | 0.2 | 0.0 | 800 |",
        "themselves, one after the other with nothing between them, take 3.0 s.",
    ):
        assert line in page.splitlines()
    assert page.index("of fastai's | 0.20") < page.index("## CSV to submission")
    assert "{" not in page


def test_the_chart_is_a_picture(measured: Measured, tmp_path: Path) -> None:
    draw(tmp_path / "chart.png", measured)
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
