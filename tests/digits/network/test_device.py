from unittest.mock import patch

import pytest
import torch

from digits.errors import InputError
from digits.network.device import APART, TRIED, Pace, choose_device, describe_device


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("asked", [None, "", "cpu", "cuda", "cuda:1", "a\nb"])
def test_a_gpu_is_taken_where_there_is_one_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, gpu: bool
) -> None:
    monkeypatch.delenv("DIGITS_DEVICE", raising=False)
    if asked is not None:
        monkeypatch.setenv("DIGITS_DEVICE", asked)
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    if asked in (None, "", "cpu") or (asked == "cuda" and gpu):
        torch.set_float32_matmul_precision("medium")
        assert choose_device() == torch.device("cuda" if gpu and asked != "cpu" else "cpu")
        # Products keep all their bits, whatever the environment allows.
        assert torch.get_float32_matmul_precision() == "highest"
        return
    with pytest.raises(InputError) as caught:
        choose_device()
    told = (
        ": torch finds no GPU; expected 'cpu'" if asked == "cuda" else "; expected 'cpu' or 'cuda'"
    )
    assert str(caught.value) == f"environment: DIGITS_DEVICE = {asked!r}{told}"


def test_a_device_is_described_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    assert describe_device(torch.device("cpu")) == "the CPU, with up to 3 threads"
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"a GPU, {device}")
    assert describe_device(torch.device("cuda")) == "a GPU, cuda"


Costs = dict[int, float]


def tried(*numbers: int) -> list[int]:
    return [number for number in numbers for _ in range(TRIED)]


# Of up to so many threads: what a step costs with each number of them from some moment on, in
# seconds, and the threads that each step has from there on.
@pytest.mark.parametrize(
    ("most", "scenes"),
    [
        pytest.param(1, [({1: 1}, tried(1) * 3)], id="one"),
        pytest.param(2, [({1: 1, 2: 1}, tried(1, 2))], id="two"),
        pytest.param(6, [(dict.fromkeys((1, 2, 4, 6), 1), tried(1, 2, 4, 6))], id="all of six"),
        pytest.param(8, [(dict.fromkeys((1, 2, 4, 8), 1), tried(1, 2, 4, 8))], id="all of eight"),
        pytest.param(4, [({1: 1, 2: 2, 4: 2}, tried(1, 2, 4) + [1] * 30)], id="one is fastest"),
        pytest.param(4, [({1: 3, 2: 1, 4: 2}, tried(1, 2, 4) + [2] * 30)], id="two are fastest"),
        pytest.param(4, [({1: 3, 2: 2, 4: 1}, tried(1, 2, 4) + [4] * 30)], id="four are fastest"),
        pytest.param(
            2,
            [({1: 2, 2: 5}, [1, 1, 1, 2]), ({1: 2, 2: 1}, [2] * 20)],
            id="one slow step does not decide",
        ),
        pytest.param(
            2,
            [
                ({1: 2, 2: 1}, tried(1, 2) + [2] * (APART * TRIED * 3)),
                ({1: 1.4, 2: 1.9}, tried(1, 2) + [1] * 9),
            ],
            id="a trial is made anew when many times its own time is over",
        ),
        pytest.param(
            4,
            [({1: 1, 2: 200, 4: 300}, [1, 1, 1, 2] + [1] * (APART * 200))],
            id="threads that wait for a busy core are given up at once and for long",
        ),
        pytest.param(
            2,
            [({1: 2, 2: 1}, tried(1, 2, 2)), ({1: 2, 2: 200}, [2, *tried(1), 2, *tried(1)])],
            id="a neighbour that comes is noticed in the next step",
        ),
        pytest.param(
            2,
            [({1: 1, 2: 2}, tried(1, 2)), ({1: 4, 2: 2}, [1] * 6)],
            id="a slow step of one thread begins no trial",
        ),
    ],
)
def test_steps_have_as_many_threads_as_trials_found_fastest(
    most: int, scenes: list[tuple[Costs, list[int]]]
) -> None:
    now, set_threads = 1.0, [most]
    with (
        patch("digits.network.device.perf_counter", lambda: now),
        patch("torch.set_num_threads", set_threads.append),
        patch("torch.get_num_threads", lambda: set_threads[-1]),
    ):
        pace = Pace()
        for costs, expected in scenes:
            had = []
            for _ in expected:
                with pace.step():
                    had.append(set_threads[-1])
                    now += costs[had[-1]]
            assert had == expected
        pace.end()
    assert set_threads[-1] == most  # as before
