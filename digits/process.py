"""The process of a stage: alone in its folder, and ended with the one that started it.

A pipeline that is killed leaves its stage behind, which would write its results in the midst of the
next run. So a stage looks whether its parent is still there, and locks the folder as long as it
runs, in case that parent is a shell that goes on.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import partial
from pathlib import Path
from threading import Thread, get_ident

from digits.errors import run_command

_PATIENCE = 10  # seconds to end in
_INTERVAL = 0.1  # seconds between two looks at the parent


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main` in this folder, as `report` does."""
    run_command(partial(_run_alone, main))


def _run_alone(main: Callable[[], None]) -> None:
    end_with_parent()
    with alone(Path()):
        main()


def end_with_parent() -> None:
    """Have this process ended by SIGTERM when its parent ends, and tidily: temporary files go.

    The main thread calls it. Where the variable STAGE_PARENT holds the parent's number, a parent
    that has ended already is noticed as well.
    """
    signal.signal(signal.SIGTERM, _end)
    parent = os.environ.get("STAGE_PARENT") or str(os.getppid())
    if str(os.getppid()) != parent:
        signal.raise_signal(signal.SIGTERM)
    Thread(target=_follow, args=(parent, get_ident()), daemon=True).start()


def _follow(parent: str, thread: int) -> None:
    """Send `thread` SIGTERM when `parent` has ended: on every system, another takes its place."""
    while str(os.getppid()) == parent:
        time.sleep(_INTERVAL)
    # A signal to the process might come to this thread, and not wake the one that waits.
    signal.pthread_kill(thread, signal.SIGTERM)


def _end(number: int, _: object) -> None:
    """End by an exception, so that what `with` and `finally` promise is done."""
    # Where Python is in a place that passes over exceptions, the kernel ends it all the same.
    signal.signal(number, signal.SIG_DFL)
    signal.alarm(_PATIENCE)
    sys.exit(128 + number)


@contextmanager
def alone(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of `folder`; wait for it, and say so, while another process has it.

    The lock is on the folder itself and ends with the process: there is no file to be left behind.

    Raises:
        OSError: another process has it, or it cannot be locked, and `wait` is false.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, wait=wait)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> None:
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except OSError as error:
        if not wait:
            raise
        if isinstance(error, BlockingIOError):
            print("waiting for another stage that runs in this folder", file=sys.stderr, flush=True)
            flock(descriptor, LOCK_EX)
        else:  # some network file systems lock no folders
            print(f"warning: this folder cannot be locked ({error.strerror})", file=sys.stderr)
