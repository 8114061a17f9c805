"""Tasks on Ray: on this machine, or on the cluster that RAY_ADDRESS names."""

import logging
import os
import socket
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import ray
from ray._private import ray_constants

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
# What a client and a server of HTTP/2, as gRPC speaks it, begin with (RFC 9113, section 3.4).
PREFACE, SETTINGS_FRAME = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x04"
RETRIES = 10  # of a task whose machine dies
# Nothing is reported to Ray's makers, and tasks, which are timed, do not give way to other work.
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")
# The params of a task, and its other arguments, before the rows.
Task = tuple[Params, *tuple[Any, ...]]


class Cluster:
    """Machines that Ray runs tasks on, with the rows in their object store."""

    def __init__(self, rows: Rows) -> None:
        self._rows = ray.put(rows)

    def run(
        self, function: Callable[..., Found], tasks: Mapping[Key, Task]
    ) -> Iterator[tuple[Key, Found]]:
        """Yield what `function` makes of each task and the rows, in whatever order they end.

        Where a machine dies, another takes its tasks.
        """
        machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        cores = share_cores([machine for machine in machines if machine], len(tasks))
        # To train on a GPU, a task would have to ask Ray for one.
        variables = {"OMP_NUM_THREADS": str(cores), "DIGITS_DEVICE": "cpu"}
        settings = {"num_cpus": cores, "runtime_env": {"env_vars": variables}}
        remote = ray.remote(max_retries=RETRIES, **settings)(function)
        pending = {remote.remote(*task, self._rows): key for key, task in tasks.items()}
        while pending:
            [ended], _ = ray.wait(list(pending))
            yield pending.pop(ended), ray.get(ended)


def share_cores(machines: Sequence[int], tasks: int) -> int:
    """Return the most cores that a task can have on any machine while all tasks run at once, or 1.

    Two tasks with a core each end sooner than one after the other with both.
    """
    choices = range(1, min(machines) + 1)
    at_once = {cores: sum(machine // cores for machine in machines) for cores in choices}
    return max((cores for cores, count in at_once.items() if count >= tasks), default=1)


@contextmanager
def sheltered() -> Iterator[dict[str, str]]:
    """Yield the variables of a Ray on the loopback, in a folder of this user's that goes again."""
    # Not in TMPDIR, which may be longer: the paths of sockets have 107 bytes at most.
    with TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        # Ray keeps to the first token that a process has had.
        token = os.environ.get("RAY_AUTH_TOKEN") or token_hex(32)
        # Without support for clusters, as on Windows, Ray keeps to the loopback.
        loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        yield {"RAY_AUTH_TOKEN": token, "RAY_TMPDIR": folder, **loopback}


def greet(host: str, port: int) -> None:
    """Raise `OSError` unless a server of gRPC, as Ray's is, answers within `PATIENCE`."""
    with socket.create_connection((host, port), PATIENCE) as server:
        server.sendall(PREFACE + bytes(3) + SETTINGS_FRAME + bytes(5))
        if server.recv(9)[3:4] != SETTINGS_FRAME:
            raise ConnectionError("not what Ray answers")


@contextmanager
def cluster(rows: Rows) -> Iterator[Cluster]:
    """Yield the cluster that RAY_ADDRESS names, or else one of this machine, and leave it."""
    # Without an address, Ray would look for one that somebody's cluster has left behind.
    address = os.environ.get("RAY_ADDRESS") or "local"
    host, _, port = address.rpartition(":")
    code = HERE if address == "local" else SENT
    os.environ.update(SETTINGS | os.environ)
    with ExitStack() as stack:
        if address == "local":
            os.environ.update(stack.enter_context(sheltered()))
            ray_constants.ENABLE_RAY_CLUSTER = False  # Ray read the variable when imported
        try:
            plain = port.isdecimal() and "/" not in host and "RAY_USE_TLS" not in os.environ
            if plain:  # Ray itself would try again for minutes
                greet(host, int(port))
            stack.callback(ray.shutdown, wait_for_processes=True)
            ray.init(address, runtime_env=code, logging_level=logging.ERROR, log_to_driver=False)
        except OSError as error:
            expected = "a Ray cluster that this machine is part of, and whose token it has"
            raise InputError(f"RAY_ADDRESS = {address}: {error}; expected {expected}") from None
        yield Cluster(rows)
