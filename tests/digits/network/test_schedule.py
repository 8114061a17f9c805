from math import cos, pi

import pytest

from digits.network.schedule import learning_rate, share_averaged
from digits.params import Train
from tests.conftest import tiny_params


def schedule(name: str, warm_up: float = 0) -> Train:
    return Train(**tiny_params({})["train"] | {"schedule": name, "warm_up": warm_up, "lr": 0.1})


@pytest.mark.parametrize("warm_up", [0, 0.2, 0.5])
@pytest.mark.parametrize("name", ["one_cycle", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 10, 1000])
def test_a_rate_rises_in_a_line_to_the_highest_and_falls_to_almost_nothing(
    steps: int, name: str, warm_up: float
) -> None:
    rates = [learning_rate(step, steps, schedule(name, warm_up)) for step in range(steps)]
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 < rate <= 0.1 for rate in rates)
    if steps >= 10:
        assert max(rates) == 0.1
        assert peak == pytest.approx(warm_up * steps, abs=1)
        assert rates[peak // 2] == pytest.approx(0.1 * (peak // 2 + 1) / max(warm_up * steps, 1))
        assert rates[-1] < 1.01 * 0.1 / ((1 - warm_up) * steps)


@pytest.mark.parametrize("step", [0, 250, 500, 750])
def test_one_cycle_falls_in_a_line_cosine_in_half_a_wave_and_constant_stays(step: int) -> None:
    rates = [learning_rate(step, 1000, schedule(name)) for name in ("one_cycle", "cosine")]
    line, wave = 1 - step / 1000, (1 + cos(pi * step / 1000)) / 2
    assert rates == pytest.approx([0.1 * line, 0.1 * wave])
    assert learning_rate(step, 1000, schedule("constant", warm_up=0.5)) == 0.1


def test_averages_take_more_of_the_first_steps() -> None:
    found = [share_averaged(step, 0.8) for step in (0, 1, 35, 36, 1000)]
    assert found == pytest.approx([0.9, 9 / 11, 0.2, 0.2, 0.2])
