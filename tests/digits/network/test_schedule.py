from collections.abc import Callable
from math import cos, pi

import pytest

from digits.network.schedule import learning_rate, share_averaged
from digits.params import Train
from tests.conftest import tiny_params


@pytest.mark.parametrize("warm_up", [0, 0.2, 0.5])
@pytest.mark.parametrize("steps", [1, 2, 10, 1000])
@pytest.mark.parametrize(
    ("name", "fall"),
    [
        ("one_cycle", lambda left: left),
        ("cosine", lambda left: (1 - cos(pi * left)) / 2),
        ("constant", lambda _: 1),
    ],
    ids=["one_cycle", "cosine", "constant"],
)
def test_a_rate_rises_in_a_line_and_falls_to_almost_nothing_in_another_or_half_a_wave_or_stays(
    name: str, fall: Callable[[float], float], steps: int, warm_up: float
) -> None:
    params = Train(**tiny_params({})["train"] | {"schedule": name, "warm_up": warm_up, "lr": 0.1})
    peak = 0 if name == "constant" else warm_up * steps
    for step in range(steps):
        left = min((steps - step) / (steps - peak), 1)
        expected = 0.1 * min((step + 1) / peak if peak else 1, fall(left))
        assert learning_rate(step, steps, params) == pytest.approx(expected)


def test_averages_take_more_of_the_first_steps() -> None:
    found = [share_averaged(step, 0.8) for step in (0, 1, 35, 36, 1000)]
    assert found == pytest.approx([0.9, 9 / 11, 0.2, 0.2, 0.2])
