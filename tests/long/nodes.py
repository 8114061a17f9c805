"""nodes: a study on a Ray of two nodes, one of which is killed half-way, without a trace.

    python -m tests.long.nodes studies/fast.yaml

Runs the study on two nodes of Ray on this machine, and kills the second one, with all its
processes, when half of the trainings are done and it is in the midst of one. Fails unless the study
ends in the summary that it had before, byte for byte, and in the same table but for the seconds and
the commit. The results from before stay.
"""

import os
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import psutil

from digits.errors import InputError, expecting, run_command
from studies.cluster import SETTINGS, sheltered
from studies.design import RESULTS, load_study
from studies.journal import Journal
from studies.trial import train_network

PATIENCE = 300.0  # seconds for a node to start, and then to train
TRAINING = f"ray::{train_network.__name__}"  # what Ray calls a process that trains
ASIDE = ["seconds", "commit"]
REACHABLE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}


def find_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def node(environment: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a node of Ray until the block ends."""
    ray, quiet = Path(sys.executable).with_name("ray"), subprocess.DEVNULL
    command = [str(ray), "start", "--block", *arguments]
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as process:
        try:
            yield process
        finally:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it has started."""
    try:
        started = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in [*started, process]:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


@contextmanager
def two_nodes(
    cores: int,
) -> Iterator[tuple[dict[str, str], subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Yield the environment of those who use a Ray of two nodes of so many cores, and both."""
    port = find_port()
    head = ("--head", f"--port={port}", "--include-dashboard=false", f"--num-cpus={cores}")
    with sheltered() as variables:
        # The nodes share the cores: threads that wait by spinning would take them from each other.
        environment = SETTINGS | {"OMP_WAIT_POLICY": "passive"} | os.environ | variables
        # Written like this, Ray does not take it for its address in the network.
        environment |= {"RAY_AUTH_MODE": "token", "RAY_ADDRESS": f"LOCALHOST:{port}"}
        with node(environment, *head) as first:
            wait_until(lambda: bool(started(first, "raylet")), "the first node")
            address = f"--address={environment['RAY_ADDRESS']}"
            with node(environment | REACHABLE, address, f"--num-cpus={cores}") as second:
                wait_until(lambda: bool(started(second, "raylet")), "the second node")
                yield environment, first, second


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds.

    Raises:
        InputError: it takes longer than `PATIENCE`.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise InputError(f"{what}: not there after {PATIENCE:g} seconds")
        time.sleep(0.05)


def started(process: subprocess.Popen[bytes], name: str) -> list[psutil.Process]:
    """Return the processes of a node that have that name."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name() == name:
                found.append(child)
    return found


def catch_training(
    study: subprocess.Popen[bytes], first: subprocess.Popen[bytes], second: subprocess.Popen[bytes]
) -> None:
    """Stop a training of the second node in its midst.

    The first node waits for that: it could train all networks before the second has started.

    Raises:
        InputError: the study has ended before, or it takes longer than `PATIENCE`.
    """
    waiting: list[psutil.Process] = []

    def second_trains() -> bool:
        check_runs(study)
        if stopped(second):
            return True
        waiting.extend(stopped(first))
        return False

    wait_until(second_trains, "a training on the second node")
    for process in waiting:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def stopped(node: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Stop what trains on a node, and return it."""
    return [process for process in started(node, TRAINING) if stop(process, TRAINING)]


def stop(process: psutil.Process, name: str) -> bool:
    """Stop a process, and return whether it still had that name then; else it goes on."""
    try:
        process.suspend()
        if process.name() == name:
            return True
        process.resume()
    except psutil.NoSuchProcess:
        pass
    return False


def check_runs(study: subprocess.Popen[bytes]) -> None:
    """Check that the study runs.

    Raises:
        InputError: it has ended.
    """
    if study.poll() is not None:
        raise InputError("the study ended before a node was killed; expected it to last")


def run_with_a_kill(path: Path, cores: int) -> None:
    """Run a study on two nodes, and kill the second one half-way, in the midst of a training.

    Raises:
        InputError: the study was begun before, or ends otherwise than well, or before that.
    """
    journal, half = Journal.of(path), len(list(load_study(path).trials())) // 2
    if journal.count():
        raise InputError(f"{journal.folder}: a study that was stopped; expected none")
    command = [sys.executable, "-m", "studies.run", str(path)]
    with two_nodes(cores) as (environment, first, second):
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as study:
            try:
                catch_training(study, first, second)
                while journal.count() < half:
                    check_runs(study)
                    time.sleep(0.05)
            except BaseException:
                study.kill()
                raise
            kill(second)
        if study.returncode:
            raise InputError(f"{path}: ended with {study.returncode}; expected it to go on")


def read_results(path: Path) -> list[dict[Hashable, str]]:
    """Return the rows of the table of a study without what differs each time."""
    return pd.read_csv(path, dtype=str).drop(columns=ASIDE).to_dict("records")


@contextmanager
def kept(*paths: Path) -> Iterator[None]:
    """Give files back what they held when the block ends."""
    contents = [path.read_bytes() for path in paths]
    try:
        yield
    finally:
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)


def main() -> None:
    """Run the study, kill a node, and compare."""
    parser = ArgumentParser(description="Kill a node of Ray under a study.")
    parser.add_argument("study", type=Path, help="a file such as studies/fast.yaml")
    parser.add_argument("--cores", type=int, default=2, help="of each node, as Ray counts them")
    arguments = parser.parse_args()
    summary, table, chart = (
        RESULTS / f"{arguments.study.stem}.{suffix}" for suffix in ("json", "csv", "png")
    )
    with expecting(summary, "what make study writes"):
        before = summary.read_bytes(), read_results(table)
    with kept(summary, table, chart):
        run_with_a_kill(arguments.study, arguments.cores)
        after = summary.read_bytes(), read_results(table)
    if after != before:
        raise InputError(f"{summary}: another result; expected the same without the kill")
    print(f"killed half-way: the same summary, byte for byte, of {len(after[1])} trials")


if __name__ == "__main__":
    run_command(main)
