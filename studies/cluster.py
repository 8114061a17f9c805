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
        cores = share(len(tasks))
        # To train on a GPU, a task would have to ask for one (`num_gpus`): Ray hides the others.
        variables = {"OMP_NUM_THREADS": f"{cores}", "DIGITS_DEVICE": "cpu"}
        remote = ray.remote(
            num_cpus=cores, max_retries=RETRIES, runtime_env={"env_vars": variables}
        )(function)
        pending = {remote.remote(*task, self.rows): key for key, task in tasks.items()}
        while pending:
            [ended], _ = ray.wait(list(pending))
            yield pending.pop(ended), _get(ended)


def _get(ended: Any) -> Any:  # noqa: ANN401  (whatever the task returns)
    """Return what a task has returned, by what Ray calls that, or the `InputError` it raised."""
    try:
        return ray.get(ended)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            return error.cause
        raise


def share(tasks: int) -> int:
    """Return how many cores each of so many tasks has.

    Two tasks with a core each end sooner than one after the other with both. So it is more than one
    only where there are more cores than tasks, and no more than the smallest machine has: each of
    those that are left can then take the tasks of one that dies.
    """
    cores = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    return max(1, int(min([sum(cores) // max(tasks, 1), *filter(None, cores)])))


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
