"""Where training runs, and with how many threads: whatever is fastest, as no result shows it."""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from math import inf
from time import perf_counter

import torch

from digits.errors import InputError

TRIED = 3  # steps with each number of threads
GIVEN_UP = 3  # times the fastest: a number of threads with which a step takes longer, and all above
APART = 30  # times as long as a trial took, until the next


def choose_device() -> torch.device:
    """Return a GPU where there is one, else the CPU, unless DIGITS_DEVICE says which."""
    asked, available = os.environ.get("DIGITS_DEVICE", ""), torch.cuda.is_available()
    if asked not in ("", "cpu", "cuda"):
        raise InputError(f"environment: DIGITS_DEVICE = {asked!r}; expected 'cpu' or 'cuda'")
    if asked == "cuda" and not available:
        raise InputError("environment: DIGITS_DEVICE = 'cuda': torch finds no GPU; expected 'cpu'")
    # No product of float32 has fewer bits from there on, whatever the environment allows.
    torch.set_float32_matmul_precision("highest")
    return torch.device("cuda" if available and asked != "cpu" else "cpu")


def describe_device(device: torch.device) -> str:
    """Return what does the arithmetic on a device, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"the CPU, with up to {threads} threads" if threads > 1 else "the CPU, with a thread"


class Pace:
    """As many threads as are fastest, found by timing a few steps with each number, now and then.

    Where one thread is kept from its core, all wait for it: so a number of threads that takes many
    times as long as another is given up at once, and a trial that took long is not soon made again.
    """

    def __init__(self) -> None:
        self._most = torch.get_num_threads()
        self._choices = self._choose()
        self._threads = next(self._choices)

    def _choose(self) -> Generator[int, float, None]:
        """Yield the threads of each step; what is sent back are the seconds that it took."""
        numbers = [*(2**power for power in range((self._most - 1).bit_length())), self._most]
        while True:
            begun, least = perf_counter(), dict.fromkeys(numbers, inf)
            for number in sorted(numbers * TRIED):
                took = yield number
                least[number] = min(took, least[number])
                if took > GIVEN_UP * min(least.values()):
                    break
            now, fastest = perf_counter(), min(numbers, key=least.__getitem__)
            due = now + APART * (now - begun)
            while perf_counter() < due:
                took = yield fastest
                if fastest > 1 and took > GIVEN_UP * least[fastest]:
                    break

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run a step with as many threads as its turn has."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        start = perf_counter()
        yield
        self._threads = self._choices.send(perf_counter() - start)

    def end(self) -> None:
        """Let what follows have as many threads as there were before."""
        torch.set_num_threads(self._most)
