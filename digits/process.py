"""The process of a stage: alone in its folder, and ended with the one that started it.

A pipeline that is killed leaves its stage behind, which would write its results in the midst of the
next run. So a stage looks whether what started it is still there, and holds a lock.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from filelock import FileLock, Timeout
from psutil import STATUS_ZOMBIE, NoSuchProcess, Process

from digits.errors import run_command

DVC = Path(".dvc/tmp")  # where DVC has its own locks
RUNNING = DVC / "running.lock"


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main` in this folder, as `run_command` does."""
    end_with_parent()
    run_command(alone()(main))


def end_with_parent() -> None:
    """Have this process ended, and tidily, by SIGTERM or when what started it has ended."""
    # An exception, so that what `with` and `finally` promise is done.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    Thread(target=_follow, args=(_starter(),), daemon=True).start()


def _starter() -> Process:
    """Return the nearest parent that does more than run this very command, as DVC's shell does."""
    command, own = " ".join(sys.orig_argv[1:]), Process()
    return next((one for one in own.parents() if command not in " ".join(one.cmdline())), own)


def _follow(starter: Process) -> None:
    with suppress(NoSuchProcess):
        while starter.status() != STATUS_ZOMBIE:
            time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def alone() -> Iterator[None]:
    """Hold a lock, which ends with its process, however that ends; wait while another has it."""
    try:
        lock = FileLock(RUNNING, timeout=0).acquire()
    except Timeout:
        print("waiting for another stage that runs in this folder", file=sys.stderr, flush=True)
        lock = FileLock(RUNNING).acquire()
    with lock:
        yield
