"""What commands cost: CSV to submission here and in other libraries, and the stages one by one."""

import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, STDOUT
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter

import pandas as pd
import psutil

from digits.errors import InputError
from tests.sandbox import ROOT, SEED, Sandbox
from tools.project import LOCK, read_lock

DATA = Path("data/mnist")
STAGES = ("prepare", "train", "evaluate", "predict")
THIS = "this"
PEERS = ("fastai", "Lightning", "DataLoader", "scikit-learn")
COLUMNS = ["subject", "stage", "quantity", "value"]
INTERVAL = 0.5  # s: a look at memory costs some milliseconds of a core, which a fit would miss
CHUNK = 2**20  # bytes of a copy


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> tuple[dict[str, float], str]:
    """Run a command in a folder; return what it cost, and what it printed.

    "wall" is seconds, "cpu" seconds of the processors, "memory" the MB that all its processes held
    at the worst moment, each with the pages that they share. Raises RuntimeError if it fails.
    """
    held, ended = [0.0], threading.Event()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT, text=True
    ) as process:

        def watch() -> None:
            while not ended.wait(INTERVAL):
                held.append(_resident(process.pid))

        thread = threading.Thread(target=watch)
        thread.start()
        output, _ = process.communicate()
    wall, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    ended.set()
    thread.join()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {output}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "memory": max(held)}, output


def _resident(pid: int) -> float:
    """Return the MB that a process and its children hold; 0 for one that has ended."""
    size = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                size += member.memory_info().rss
    return size / 1e6


def printed(output: str, name: str) -> float:
    """Return the number that a command printed on a line after that name."""
    [value] = re.findall(rf"^{name} (\S+)$", output, re.MULTILINE)
    return float(value)


def copy_time(read: int, written: int) -> float:
    """Return the seconds that it takes to read and to write so many bytes."""
    with TemporaryFile(buffering=0) as source, TemporaryFile(buffering=0) as target:
        source.write(bytes(read))
        source.seek(0)
        start = perf_counter()
        while source.read(CHUNK):
            pass
        for _ in range(0, written, CHUNK):
            target.write(bytes(CHUNK))
        return perf_counter() - start


def score(folder: Path) -> float:
    """Return the share of right labels in a folder's submission, from 0 to 1."""
    given, true = (
        pd.read_csv(path) for path in (folder / "submission.csv", ROOT / DATA / "solution.csv")
    )
    return float((given["Label"] == true["Label"]).mean())


class Bench:
    """Everything that is measured, the folders in which it is, and what came of it so far."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.rows: list[tuple[str, str, str, float]] = []
        self._python, self._peers, self._empty = str(python), folder / "peers", folder / "empty"
        self._box = Sandbox(folder / THIS, SEED, DIGITS_DEVICE="cpu", PYTHONPATH=str(ROOT))
        for copy in (self._box.folder, self._peers):
            shutil.copytree(ROOT / DATA, copy / DATA)
        self._empty.mkdir()
        one = "stages:\n  one:\n    cmd: echo one > out\n    outs: [out]\n"
        (self._empty / "dvc.yaml").write_text(one)
        for command in ("git init --quiet", "dvc init --quiet", "dvc repro --quiet"):
            self._run_in_empty(*command.split())
        shutil.copy(ROOT / ".dvc" / "config", self._empty / ".dvc" / "config")

    def _add(self, subject: str, stage: str, quantities: Mapping[str, float]) -> None:
        self.rows += [(subject, stage, name, value) for name, value in quantities.items()]

    def take_turns(self, *, reverse: bool) -> None:
        """Measure everything once, in one order or the other."""
        turns = [*PEERS, THIS]
        for name in reversed(turns) if reverse else turns:
            self._run_pipeline() if name == THIS else self._run_peer(name)
        here = os.environ | {"PATH": self._box.environment["PATH"]}
        for _ in range(3):
            self._add(THIS, "nothing", run(["dvc", "repro"], ROOT, here)[0])
            self._add("empty", "nothing", self._run_in_empty("dvc", "repro"))

    def _run_in_empty(self, *command: str) -> dict[str, float]:
        site = {"DVC_SITE_CACHE_DIR": f"{self._empty}.site"}
        return run(command, self._empty, self._box.environment | site)[0]

    def _run_peer(self, name: str) -> None:
        variables = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")}
        cost, output = run([self._python, "-m", "peers", name], self._peers, variables)
        self._add(name, "all", cost | {"accuracy": score(self._peers)})
        self._add(name, "fit", {"wall": printed(output, "fit")})

    def _run_pipeline(self) -> None:
        """Reproduce everything; then run each stage alone, and the fit alone, and find floors."""
        folder = self._box.folder
        self._box.run("git", "clean", "-fdxq", "--exclude", str(DATA))
        shutil.rmtree(self._box.environment["DVC_SITE_CACHE_DIR"], ignore_errors=True)
        cost, _ = self._run("dvc", "repro", "--single-item", *STAGES)
        self._add(THIS, "all", cost | {"accuracy": score(folder)})
        for stage in STAGES:
            cost, _ = self._run("python", "-m", "stages", stage)
            # As `python -m stages` imports it.
            code = f"import gc; gc.disable(); import stages.{stage}; gc.freeze()"
            imported, _ = self._run("python", "-c", code)
            entry = read_lock(folder / LOCK)["stages"][stage]
            sizes = (sum(each["size"] for each in entry[part]) for part in ("deps", "outs"))
            floor = {"imports": imported["wall"], "bytes": copy_time(*sizes)}
            self._add(THIS, stage, cost | floor)
        _, output = self._run("python", "-m", "benchmarks.fit")
        self._add(THIS, "fit", {"wall": printed(output, "fit"), "rate": printed(output, "rate")})

    def _run(self, *command: str) -> tuple[dict[str, float], str]:
        return run(command, self._box.folder, self._box.environment)


def compare(python: Path, runs: int) -> pd.DataFrame:
    """Measure everything so many times; `python` is that of the peers' environment."""
    if not python.exists():
        raise InputError(f"{python}: no such file; expected what make bench installs")
    status = [sys.executable, "-m", "dvc", "status", "--quiet"]
    if subprocess.run(status, cwd=ROOT, check=False).returncode:
        raise InputError("dvc status: something is to be done; expected nothing (run make repro)")
    with TemporaryDirectory() as name:
        bench = Bench(Path(name), python.absolute())
        for number in range(runs):
            print(f"run {number + 1} of {runs}", flush=True)
            bench.take_turns(reverse=number % 2 == 1)
    return pd.DataFrame(bench.rows, columns=COLUMNS)
