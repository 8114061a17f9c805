"""Where training runs, and with how many threads: whatever is fastest, as no result shows it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import torch

from digits.errors import InputError

VARIABLE = "DIGITS_DEVICE"
TRIED = 3  # steps with each number of threads
GIVEN_UP = 3  # times the fastest: a number of threads with which a step takes longer, and all above
APART = 30  # times as long as a trial took, until the next


def choose_device() -> torch.device:
    """Return a GPU where there is one, else the CPU, unless DIGITS_DEVICE says which.

    From there on, no product of float32 has fewer bits, whatever the environment allows.

    Raises:
        InputError: it names something else, or a GPU that torch does not find.
    """
    asked, available = os.environ.get(VARIABLE, ""), torch.cuda.is_available()
    if asked not in ("", "cpu", "cuda"):
        raise InputError(f"environment: {VARIABLE} = {asked!r}; expected 'cpu' or 'cuda'")
    if asked == "cuda" and not available:
        raise InputError(f"environment: {VARIABLE} = 'cuda': torch finds no GPU; expected 'cpu'")
    torch.set_float32_matmul_precision("highest")
    return torch.device("cuda" if available and asked != "cpu" else "cpu")


def describe_device(device: torch.device) -> str:
    """Return what does the arithmetic on a device, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"the CPU, with up to {torch.get_num_threads()} threads"


class Pace:
    """As many threads as are fastest, found by timing a few steps with each number, now and then.

    All cores are where nobody else wants them. Threads that wait for one that another process keeps
    from its core take many times as long as one thread alone: so a number that does is given up at
    once, and a trial that took long is not soon made again.
    """

    def __init__(self) -> None:
        """Begin with a trial, of up to as many threads as there are now."""
        self._most = self._threads = torch.get_num_threads()
        numbers = [2**power for power in range(self._most.bit_length()) if 2**power < self._most]
        self._turns = [number for number in (*numbers, self._most) for _ in range(TRIED)]
        self._left: list[int] = []  # of the turns, while there is a trial
        self._least: dict[int, float] = {}  # seconds of a step in the trial, by number of threads
        self._begun = self._due = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run a step with as many threads as its turn has."""
        start = perf_counter()
        if not self._left and start >= self._due:
            self._left, self._least, self._begun = self._turns.copy(), {}, start
        trial = bool(self._left)
        if trial:
            self._use(self._left.pop(0))
        yield
        took = perf_counter() - start
        if trial:
            self._note(took)
        elif self._threads > 1 and self._is_slow(took):
            self._due = 0.0

    def _use(self, threads: int) -> None:
        self._threads = threads
        torch.set_num_threads(threads)

    def _is_slow(self, took: float) -> bool:
        return took > GIVEN_UP * min(self._least.values())

    def _note(self, took: float) -> None:
        """Note what a step of a trial took, and end the trial where there is no more to learn."""
        self._least[self._threads] = min(took, self._least.get(self._threads, took))
        if self._is_slow(took):
            self._left.clear()
        if not self._left:
            now = perf_counter()
            self._due = now + APART * (now - self._begun)
            self._use(min(self._least, key=lambda number: self._least[number]))

    def end(self) -> None:
        """Let what follows have as many threads as there were before."""
        torch.set_num_threads(self._most)
