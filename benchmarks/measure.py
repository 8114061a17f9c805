"""What a command costs: wall time, processor time and peak memory of all its processes."""

import resource
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil

_INTERVAL = 0.5  # s: a look costs some milliseconds of a core, which a fit would miss


@dataclass(frozen=True)
class Cost:
    """What a run cost.

    Attributes:
        wall: seconds from start to end.
        cpu: seconds of processor time, in the system as well, of all its processes.
        memory: bytes, at the worst moment, of all its processes together; pages that they share
            count for each.
        output: what it printed.
    """

    wall: float
    cpu: float
    memory: int
    output: str


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Cost:
    """Run a command in a folder; return what it cost.

    Raises:
        RuntimeError: it failed.
    """
    before, start = _processor_time(), perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        watch = _Watch(process.pid)
        watch.start()
        output, _ = process.communicate()
    wall, cpu = perf_counter() - start, _processor_time() - before
    watch.end()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {output}")
    return Cost(wall, cpu, watch.peak, output)


def _processor_time() -> float:
    """Return the seconds that all ended children took so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Watch(threading.Thread):
    """Looks, twice a second, at how much memory a process and its children hold."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.peak = 0

    def run(self) -> None:
        """Look until `end` is called."""
        while not self._ended.wait(_INTERVAL):
            self.peak = max(self.peak, _resident(self._pid))

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join()


def _resident(pid: int) -> int:
    """Return the bytes that a process and its children hold; 0 for one that has ended."""
    held = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                held += member.memory_info().rss
    return held
