from unittest.mock import patch

import pytest
import torch

from digits.errors import InputError
from digits.network.device import APART, TRIED, Pace, choose_device, describe_device


@pytest.mark.parametrize(
    ("asked", "gpu", "expected"),
    [
        ("", False, "cpu"),
        (None, True, "cuda"),
        ("cpu", True, "cpu"),
        ("cuda", True, "cuda"),
        ("cuda", False, "DIGITS_DEVICE = 'cuda': torch finds no GPU; expected 'cpu'"),
        ("cuda:1", True, "DIGITS_DEVICE = 'cuda:1'; expected 'cpu' or 'cuda'"),
    ],
)
def test_a_gpu_is_taken_where_there_is_one_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, gpu: bool, expected: str
) -> None:
    monkeypatch.delenv("DIGITS_DEVICE", raising=False)
    if asked is not None:
        monkeypatch.setenv("DIGITS_DEVICE", asked)
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    if "expected" in expected:
        with pytest.raises(InputError, match=f"^environment: {expected}$"):
            choose_device()
        return
    torch.set_float32_matmul_precision("medium")
    assert choose_device() == torch.device(expected)
    # Products keep all their bits, whatever the environment allows.
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize(
    ("threads", "expected"), [(1, "a thread"), (2, "up to 2 threads"), (3, "up to 3 threads")]
)
def test_a_device_is_told_by_its_threads_or_its_name(
    monkeypatch: pytest.MonkeyPatch, threads: int, expected: str
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"the name of {device}")
    assert describe_device(torch.device("cpu")) == f"the CPU, with {expected}"
    assert describe_device(torch.device("cuda:1")) == "the name of cuda:1"


def tried(*numbers: int) -> list[int]:
    return [number for number in numbers for _ in range(TRIED)]


LONG = APART * TRIED * 3  # steps


# Of up to so many threads: what a step costs with each number of them from some moment on, in
# seconds, and the threads that each step has from there on.
@pytest.mark.parametrize(
    ("most", "scenes"),
    [
        (1, [({1: 1}, tried(1) * 3)]),
        (6, [({1: 1, 2: 1, 4: 1, 6: 1}, tried(1, 2, 4, 6))]),
        # The fastest are kept, and one slow step does not decide which they are.
        (4, [({1: 3, 2: 1, 4: 2}, tried(1, 2, 4) + [2] * 30)]),
        (2, [({1: 2, 2: 5}, [1, 1, 1, 2]), ({1: 2, 2: 1}, [2] * 20)]),
        # What takes just as many times as long is not given up yet.
        (2, [({1: 1, 2: 3}, tried(1, 2) + [1] * 9)]),
        (2, [({1: 2, 2: 1}, tried(1, 2)), ({2: 3}, [2] * 9)]),
        # A trial is made anew when many times its own time is over.
        (2, [({1: 2, 2: 1}, tried(1, 2) + [2] * LONG), ({1: 1.4, 2: 1.9}, tried(1, 2) + [1] * 9)]),
        # Threads that wait for a busy core are given up at once and for long.
        (4, [({1: 1, 2: 200, 4: 300}, [1, 1, 1, 2] + [1] * (APART * 200))]),
        # A neighbour that comes is noticed in the next step, but a slow thread begins no trial.
        (2, [({1: 2, 2: 1}, tried(1, 2, 2)), ({1: 2, 2: 200}, [2, *tried(1), 2, *tried(1)])]),
        (2, [({1: 1, 2: 2}, tried(1, 2)), ({1: 4, 2: 2}, [1] * 6)]),
    ],
)
def test_steps_have_as_many_threads_as_trials_found_fastest(
    most: int, scenes: list[tuple[dict[int, float], list[int]]]
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
