"""The process of a stage: alone in its folder, and ended with the one that started it.

A pipeline that is killed leaves its stage behind, which would write its results in the midst of the
next run. So a stage looks whether what started it is still there, and holds a lock. Of the workers
that torchrun starts, the first of all holds it, unless a stage that has it has started them.
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

from digits.errors import InputError, run_command

DVC = Path(".dvc/tmp")  # where DVC has its own locks
RUNNING = DVC / "running.lock"
STARTED = "DIGITS_STARTED"  # in the environment of workers that a stage has started
SHORTLY = 5  # seconds


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main` in this folder, as `run_command` does."""
    end_with_parent()
    giving_up()(run_command)(alone()(main))


def is_worker() -> bool:
    """Return whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def giving_up() -> Iterator[None]:
    """Have torchrun end, not start again, workers that end with a line for a person to mend."""
    try:
        yield
    except SystemExit as ended:
        if not is_worker() or not str(ended.code).startswith("error: "):
            raise
        if os.environ["LOCAL_RANK"] != "0":
            time.sleep(SHORTLY)  # for the first, which says it if it is told of all
        print(ended.code, file=sys.stderr, flush=True)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which torchrun will send in its turn
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(1)  # torch's own threads do not always end tidily, and say so


def end_with_parent() -> None:
    """Have this process ended, and tidily, by SIGTERM or when what started it has ended."""
    # An exception, so that what `with` and `finally` promise is done.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    Thread(target=_follow, args=(_starter(),), daemon=True).start()


def _starter() -> Process:
    """Return the nearest parent that does more than run this very command, as DVC's shell does.

    That of a worker may be of the same command, and starts it.
    """
    command, own = " ".join(sys.orig_argv[1:]), Process()
    if is_worker() and (parent := own.parent()):
        return parent
    return next((one for one in own.parents() if command not in " ".join(one.cmdline())), own)


def _follow(starter: Process) -> None:
    with suppress(NoSuchProcess):
        while starter.status() != STATUS_ZOMBIE:
            time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def alone() -> Iterator[None]:
    """Hold a lock, which ends with its process, however that ends; wait while another has it.

    Workers do not wait for long, but raise `InputError`.
    """
    if is_worker() and (STARTED in os.environ or os.environ["RANK"] != "0"):
        yield
        return
    try:
        lock = FileLock(RUNNING, timeout=SHORTLY if is_worker() else 0).acquire()
    except Timeout:
        if is_worker():
            told = f"{RUNNING}: another run of a stage in this folder"
            raise InputError(f"{told}; expected none beside these workers") from None
        print("waiting for another stage that runs in this folder", file=sys.stderr, flush=True)
        lock = FileLock(RUNNING).acquire()
    with lock:
        yield
