"""The process of a stage: alone in its folder, and ended with the one that started it.

A pipeline that is killed leaves its stage behind, which would write its results in the midst of the
next run. So a stage looks whether those that started it are still there, and holds a lock.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from filelock import FileLock, Timeout
from psutil import STATUS_ZOMBIE, Error, NoSuchProcess, Process

from digits.errors import run_command

DVC = Path(".dvc/tmp")  # where DVC has its own locks
_PATIENCE = 10  # seconds to end in
_INTERVAL = 0.1  # seconds between two looks at those that started this process


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main` in this folder, as `run_command` does."""
    end_with_parent()
    run_command(alone(DVC)(main))


def end_with_parent() -> None:
    """Have this process ended, and tidily, by SIGTERM or when what started it has ended."""
    # An exception, so that what `with` and `finally` promise is done.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    Thread(target=_follow, args=(_starters(),), daemon=True).start()


def _starters() -> list[Process]:
    """Return the parent, and its own, to the first that does more than run this very command.

    A shell that DVC starts does no more, nor does a Python that starts another on Windows.
    """
    command, found = " ".join(sys.orig_argv[1:]), []
    with suppress(Error):  # it belongs to somebody else, or has ended
        for one in Process().parents():
            found.append(one)
            if command not in " ".join(one.cmdline()):
                break
    return found


def _follow(starters: Sequence[Process]) -> None:
    with suppress(NoSuchProcess):
        while all(one.is_running() and one.status() != STATUS_ZOMBIE for one in starters):
            time.sleep(_INTERVAL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(128 + signal.SIGTERM)  # Python was where it passes over exceptions


@contextmanager
def alone(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock in `folder`, if that is there, which ends with its process, however that ends.

    While another process has it, wait, or raise `Timeout`.
    """
    if not folder.is_dir():
        yield
        return
    lock = FileLock(folder / "running.lock")
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        if not wait:
            raise
        print("waiting for another stage that runs in this folder", file=sys.stderr, flush=True)
        held = lock.acquire()
    with held:
        yield
