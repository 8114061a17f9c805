from pathlib import Path

import numpy as np
import pytest

from benchmarks.measure import Cost
from benchmarks.scale import FACTORS, SCALED, Scaled, draw, in_words, render, shifted_copies


@pytest.fixture
def scaled() -> Scaled:
    """One run in which a stage takes 0.14 s, and 100 MB, for every time the rows."""
    stages = ((stage, factor) for stage in SCALED for factor in FACTORS)
    return Scaled({key: [Cost(0.14 * key[1], 0.1, key[1] * 10**8, "")] for key in stages})


def test_more_rows_are_the_first_and_shifts_of_them() -> None:
    pixels = np.zeros((3, 784), dtype=np.uint8)
    pixels.reshape(3, 28, 28)[:, 10:15, 12] = [[1], [2], [3]]
    more = shifted_copies(pixels, 4, seed=0)
    assert more.shape == (12, 784)
    assert np.array_equal(more[:3], pixels)
    assert np.array_equal(more, shifted_copies(pixels, 4, seed=0))
    assert np.array_equal(np.sort(more, axis=1), np.tile(np.sort(pixels, axis=1), (4, 1)))
    rows, columns = np.nonzero(more.reshape(12, 28, 28).sum(axis=0))
    assert rows.min() >= 8
    assert rows.max() <= 16
    assert set(columns) <= {10, 11, 12, 13, 14}
    assert len(np.unique(more, axis=0)) > 3


def test_the_page_says_by_how_much_time_and_memory_grow(scaled: Scaled) -> None:
    lines = render(scaled).splitlines()
    assert "| predict | 5 | 5 | 5 | +0% |" in lines  # 0.14 s for 28,000 rows
    assert "| predict | 100 | 300 | 1000 | +900% |" in lines
    assert "| train | 27 s | 56 minutes |" in lines  # 0.14 s for 42,000 rows
    assert "{" not in "".join(lines)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1.4, "1 s"), (119, "119 s"), (120, "2 minutes"), (7200, "2 hours"), (864_000, "10 days")],
)
def test_a_time_is_told_in_the_unit_that_fits(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_chart_is_a_picture(scaled: Scaled, tmp_path: Path) -> None:
    draw(tmp_path / "chart.png", scaled)
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
