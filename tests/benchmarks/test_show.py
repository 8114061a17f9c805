from pathlib import Path

import pandas as pd

from benchmarks import scale, show
from benchmarks.measure import COLUMNS, STAGES
from benchmarks.show import SUBJECTS

ROWS = [
    *((name, "all", "wall", place) for place, name in enumerate(SUBJECTS, 1)),
    *((name, "all", "wall", 2 * place) for place, name in enumerate(SUBJECTS, 1)),
    *((name, "all", "accuracy", 0.97) for name in SUBJECTS),
    *((name, stage, "memory", 100.0) for name in SUBJECTS for stage in ("all", *STAGES)),
    *((name, "all", "cpu", 2.0) for name in SUBJECTS),
    *((name, "fit", "wall", 10.0 / place) for place, name in enumerate(SUBJECTS, 1)),
    *(("this", stage, "wall", 3.0) for stage in STAGES),
    *(("this", "nothing", "wall", 0.6), ("empty", "nothing", "wall", 0.5)),
]


def test_the_page_shows_medians_spreads_and_ratios_of_medians(tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS, columns=COLUMNS)
    lines = show.report(table).splitlines()
    for line in (
        "| fit, of fastai's | 0.25 | 0.50 |",  # the last of four, and so 10 / 4 of 10 s
        "| CSV to submission, of fastai's | 4.00 | 0.85 |",
        "| nothing to do, of an empty project's | 1.20 | 1.50 |",
        "| DataLoader | 3.0 (2.0 to 4.0) | 2.00 | 2.0 (2.0 to 2.0) | 100 | 0.9700 |",
        "| DataLoader | 5.0 (5.0 to 5.0) | 0.50 |",
        "| prepare | 3.0 (3.0 to 3.0) | 100 |",
        "| `dvc repro` here | 0.60 (0.60 to 0.60) |",
    ):
        assert line in lines
    show.draw(tmp_path / "chart.png", table)
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_of_the_scale_says_by_how_much_time_and_memory_grow() -> None:
    rows = [
        (factor, stage, quantity, value * factor)
        for factor in scale.FACTORS
        for stage in scale.SCALED
        for quantity, value in (("wall", 0.14), ("memory", 300.0), ("anonymous", 100.0))
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    lines = scale.report(table).splitlines()
    assert "| predict | 0.1 | 1.4 | 7.0 | +400% |" in lines
    assert "| predict | 5 | 5 | 5 | +0% |" in lines  # 0.14 s for 28,000 rows
    assert "| predict | 100 | 1000 | 5000 | +400% |" in lines
    assert "| predict | 300 | 3000 | 15000 | +400% |" in lines
