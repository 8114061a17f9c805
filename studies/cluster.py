"""Tasks on Ray: on this machine, or on the cluster that RAY_ADDRESS names."""

import logging
import os
import socket
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import ray
from ray._private import ray_constants
from ray.exceptions import RayTaskError

from digits.errors import InputError
from digits.params import Params
from studies.trial import Rows

ROOT = Path(__file__).parent.parent
# What a task imports of this repository, where it lies or sent along; a journal may hold gigabytes.
HERE = {"env_vars": {"PYTHONPATH": str(ROOT)}}
SENT = {
    "py_modules": [str(ROOT / name) for name in ("digits", "studies")],
    "excludes": ["*.journal", "results"],
}
PATIENCE = 5.0  # seconds for a cluster to answer
WATCH = 5.0  # seconds until it is looked whether what tasks wait for is still there
RETRIES = 10  # of a task whose machine dies
# Of what is started here: nothing is reported to Ray's makers, and tasks, which are timed, do not
# give way to other work.
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
# Unless it is 1, Ray takes this machine's address to be 127.0.0.1, as on systems with no clusters.
REACHABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")
# The params of a task, and its other arguments, before the rows.
Task = tuple[Params, *tuple[Any, ...]]


class Cluster:
    """Machines that Ray runs tasks on, with the rows in their object store.

    Attributes:
        rows: as Ray refers to them.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = ray.put(rows)

    def run(
        self, function: Callable[..., Found], tasks: Mapping[Key, Task]
    ) -> Iterator[tuple[Key, Found | InputError]]:
        """Yield what `function` returns or raises for each task, in whatever order they end.

        A task whose machine dies is run again on another.

        Args:
            function: takes the params of a task, its other arguments, and the rows.
            tasks: by whatever names them.
        """
        most = _most_cores()
        pending = self._submit(function, tasks, most)
        while pending:
            ended, _ = ray.wait(list(pending), timeout=WATCH)
            for one in ended:
                yield pending.pop(one), _get(one)
            if not ended and (left := _most_cores()) < most:
                # The largest machine has died: Ray would wait for another of its size.
                for one in pending:
                    ray.cancel(one)
                missing = {key: tasks[key] for key in pending.values()}
                most, pending = left, self._submit(function, missing, left)

    def _submit(
        self, function: Callable[..., Found], tasks: Mapping[Key, Task], most: float
    ) -> dict[Any, Key]:
        """Return what Ray calls the result of each task, on machines of `most` cores at most."""
        remote, pending = ray.remote(max_retries=RETRIES)(function), {}
        for key, (params, *others) in tasks.items():
            # Threads are a part of the arithmetic: they share what cores there are.
            placed = remote.options(
                num_cpus=min(params.numerics.threads, most),
                # Other variables, other processes: MKL keeps to the mode of its first use.
                runtime_env={"env_vars": {"NUMERICS_MODE": params.numerics.mode}},
            )
            pending[placed.remote(params, *others, self.rows)] = key
        return pending


def _get(ended: Any) -> Any:  # noqa: ANN401  (whatever the task returns)
    """Return what a task has returned, by what Ray calls that, or the `InputError` it raised."""
    try:
        return ray.get(ended)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            return error.cause
        raise


def _most_cores() -> float:
    cores = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    return float(max([1.0, *cores]))  # where there is none yet, one that is to come


@contextmanager
def sheltered() -> Iterator[dict[str, str]]:
    """Yield the variables of a Ray that is only for who starts it, until the block ends.

    It listens on the loopback alone, its token is in no file, and its files lie in a folder that
    nobody else can enter, and that goes at the end.
    """
    # Not in TMPDIR, which may be longer: the paths of sockets have 107 bytes at most.
    with TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        # Ray keeps to the first token that a process has had.
        token = os.environ.get("RAY_AUTH_TOKEN") or token_hex(32)
        yield {"RAY_AUTH_TOKEN": token, "RAY_TMPDIR": folder, REACHABLE: "0"}


@contextmanager
def cluster(rows: Rows) -> Iterator[Cluster]:
    """Yield the cluster that RAY_ADDRESS names, or else one of this machine, and leave it.

    Raises:
        InputError: there is no cluster at that address.
    """
    # Without an address, Ray would look for one that somebody's cluster has left behind.
    address = os.environ.get("RAY_ADDRESS") or "local"
    here = address == "local"
    with ExitStack() as stack:
        os.environ.update(SETTINGS | os.environ)
        if here:
            os.environ.update(stack.enter_context(sheltered()))
            ray_constants.ENABLE_RAY_CLUSTER = False  # REACHABLE, which Ray read when imported
        stack.callback(ray.shutdown, wait_for_processes=True)
        _connect(address, HERE if here else SENT)
        yield Cluster(rows)


def _connect(address: str, code: Mapping[str, Any]) -> None:
    """Join the cluster at an address, or start one; raise InputError where there is none."""
    host, _, port = address.rpartition(":")
    try:
        if port.isdecimal() and "/" not in host:  # Ray itself would try again for minutes
            socket.create_connection((host, int(port)), PATIENCE).close()
        ray.init(address, runtime_env=code, logging_level=logging.ERROR, log_to_driver=False)
    except OSError as error:
        raise InputError(
            f"RAY_ADDRESS = {address}: {error}; expected a Ray cluster that this machine "
            "is part of, and whose token it has"
        ) from None
