"""Where training runs, and with how many threads: whatever is fastest, as no result shows it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter

import torch

from digits.errors import InputError

VARIABLE = "DIGITS_DEVICE"
TRIED = 3  # steps with each number of threads
LASTS = 200  # steps until it is tried again


def choose_device() -> torch.device:
    """Return a GPU where there is one, else the CPU, unless DIGITS_DEVICE says which.

    Raises:
        InputError: it names something else, or a GPU that torch does not find.
    """
    asked, available = os.environ.get(VARIABLE, ""), torch.cuda.is_available()
    if asked not in ("", "cpu", "cuda"):
        raise InputError(f"environment: {VARIABLE} = {asked!r}; expected 'cpu' or 'cuda'")
    if asked == "cuda" and not available:
        raise InputError(f"environment: {VARIABLE} = 'cuda': torch finds no GPU; expected 'cpu'")
    return torch.device("cuda" if available and asked != "cpu" else "cpu")


def describe_device(device: torch.device) -> str:
    """Return what does the arithmetic on a device, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"the CPU, with up to {torch.get_num_threads()} threads"


class Pace:
    """As many threads as are fastest, found by timing a few steps with each number, now and then.

    All cores are where nobody else wants them. Threads that wait for one that another process keeps
    from its core take longer than one thread alone.
    """

    def __init__(self, most: int) -> None:
        """Begin with a trial.

        Args:
            most: threads.
        """
        self._numbers = [2**power for power in range(most.bit_length()) if 2**power < most] + [most]
        self._most, self._steps = most, 0
        self._taken: dict[int, list[float]] = {}

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run a step with as many threads as its turn has."""
        turn = self._steps % LASTS
        trial = turn < TRIED * len(self._numbers)
        if trial and turn == 0:
            self._taken = {number: [] for number in self._numbers}
        if trial:
            torch.set_num_threads(self._numbers[turn // TRIED])
        elif turn == TRIED * len(self._numbers):
            torch.set_num_threads(min(self._taken, key=lambda number: median(self._taken[number])))
        start = perf_counter()
        yield
        if trial:
            self._taken[self._numbers[turn // TRIED]].append(perf_counter() - start)
        self._steps += 1

    def end(self) -> None:
        """Let what follows have all threads."""
        torch.set_num_threads(self._most)
