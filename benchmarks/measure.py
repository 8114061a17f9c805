"""What commands cost: CSV to submission here and in other libraries, and the stages one by one."""

import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, STDOUT
from tempfile import TemporaryDirectory
from time import perf_counter

import pandas as pd
import psutil

from digits.errors import InputError
from digits.params import PARAMS, as_yaml, load_recipe
from tools.project import LOCK, copy_files, git

ROOT = Path(__file__).parent.parent
DATA = Path("data/mnist")
STAGES = ("prepare", "train", "evaluate", "predict")
THIS = "this"
# Other libraries, and their modules in benchmarks/peers.
PEERS = {
    "fastai": "fastai_learner",
    "DataLoader": "dataloader",
    "scikit-learn": "sklearn_classifier",
}
COLUMNS = ["subject", "stage", "quantity", "value"]
INTERVAL = 0.2  # s: a look at memory costs some milliseconds of a core, which a fit would miss

Row = tuple[object, str, str, float]  # one cell for each of COLUMNS


def rows_of(subject: object, stage: str, quantities: Mapping[str, float]) -> list[Row]:
    """Return a row for each quantity."""
    return [(subject, stage, *quantity) for quantity in quantities.items()]


def run(command: Sequence[str], folder: Path, **variables: str) -> tuple[dict[str, float], str]:
    """Run a command in a folder, on the CPU; return what it cost, and what it printed.

    "wall" is seconds, "cpu" seconds of the processors, "memory" the MB that all its processes held
    at the worst moment, each with the pages that they share, and "anonymous" those of them, on
    Linux, that are of no file. Raises RuntimeError if it fails.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"DIGITS_DEVICE": "cpu", "PATH": path, "PYTHONPATH": str(ROOT)}
    held, ended = [(0.0, 0.0)], threading.Event()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | own | variables, stdout=PIPE, stderr=STDOUT, text=True
    ) as process:

        def watch() -> None:
            while not ended.wait(INTERVAL):
                with suppress(psutil.NoSuchProcess):  # one that has ended meanwhile
                    held.append(look_at_memory(process.pid))

        thread = threading.Thread(target=watch)
        thread.start()
        output, _ = process.communicate()
    wall, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    ended.set()
    thread.join()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {output}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory, anonymous = map(max, zip(*held, strict=True))
    return {"wall": wall, "cpu": cpu, "memory": memory, "anonymous": anonymous}, output


def look_at_memory(pid: int) -> tuple[float, float]:
    """Return the MB that a process and its children hold, and those of them that are of no file."""
    top = psutil.Process(pid)
    held = [one.memory_info() for one in (top, *top.children(recursive=True))]
    files = sum(getattr(one, "shared", 0) for one in held)  # which only Linux tells
    resident = sum(one.rss for one in held)
    return resident / 1e6, (resident - files) / 1e6


def printed(output: str, name: str) -> float:
    """Return the number that a command printed on a line after that name."""
    [value] = re.findall(rf"^{name} (\S+)$", output, re.MULTILINE)
    return float(value)


def score(folder: Path) -> float:
    """Return the share of right labels in a folder's submission, from 0 to 1."""
    given, true = (
        pd.read_csv(path) for path in (folder / "submission.csv", ROOT / DATA / "solution.csv")
    )
    return float((given["Label"] == true["Label"]).mean())


def write_params(folder: Path, name: str, changes: Mapping[str, object] | None = None) -> None:
    """Write the params of a recipe to a folder."""
    recipe = load_recipe(ROOT / f"recipes/{name}.yaml", changes)
    (folder / PARAMS).write_text(as_yaml(recipe.model_dump(mode="json")), encoding="utf-8")


def run_pipeline(folder: Path) -> Iterator[Row]:
    """Reproduce all in a new copy; then run each stage, and the fit, alone."""
    copy_files(ROOT, folder)
    shutil.copytree(ROOT / DATA, folder / DATA)
    (folder / LOCK).unlink()
    write_params(folder, "seed")  # the notebook's
    git("init", "--quiet", folder=folder)
    site = {"DVC_SITE_CACHE_DIR": f"{folder}.site"}
    cost, _ = run(["dvc", "repro", "--single-item", *STAGES], folder, **site)
    yield from rows_of(THIS, "all", cost | {"accuracy": score(folder)})
    for stage in STAGES:
        yield from rows_of(THIS, stage, run(["python", "-m", "stages", stage], folder)[0])
    _, output = run(["python", "-m", "benchmarks.fit"], folder)
    yield from rows_of(THIS, "fit", {"wall": printed(output, "fit")})


def run_peer(python: Path, name: str, folder: Path) -> Iterator[Row]:
    """Run a library's script, which writes its submission to a new folder."""
    folder.mkdir()
    (folder / "data").symlink_to(ROOT / "data")
    command = [str(python), "-m", "peers", PEERS[name]]
    cost, output = run(command, folder, PYTHONPATH=str(ROOT / "benchmarks"))
    yield from rows_of(name, "all", cost | {"accuracy": score(folder)})
    yield from rows_of(name, "fit", {"wall": printed(output, "fit")})


def run_nothing(folder: Path) -> Iterator[Row]:
    """Reproduce what is up to date: this project, and one of a single stage in a new folder."""
    folder.mkdir()
    stage = "stages:\n  one:\n    cmd: echo one > out\n    outs: [out]\n"
    (folder / "dvc.yaml").write_text(stage)
    site = {"DVC_SITE_CACHE_DIR": f"{folder}.site"}
    for command in ("git init --quiet", "dvc init --quiet", "dvc repro --quiet"):
        run(command.split(), folder, **site)
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    for _ in range(3):
        yield from rows_of(THIS, "nothing", run(["dvc", "repro"], ROOT)[0])
        yield from rows_of("empty", "nothing", run(["dvc", "repro"], folder, **site)[0])


def compare(python: Path, runs: int) -> pd.DataFrame:
    """Measure everything so many times, in turns; `python` is that of the peers' environment."""
    if not python.exists():
        raise InputError(f"{python}: no such file; expected what make bench installs")
    status = [sys.executable, "-m", "dvc", "status", "--quiet"]
    if subprocess.run(status, cwd=ROOT, check=False).returncode:
        raise InputError("dvc status: something is to be done; expected nothing (run make repro)")
    rows: list[Row] = []
    for number in range(runs):
        print(f"run {number + 1} of {runs}", flush=True)
        with TemporaryDirectory() as name:
            folder = Path(name)
            for subject in [*PEERS, THIS][:: -1 if number % 2 else 1]:
                if subject == THIS:
                    rows += run_pipeline(folder / THIS)
                else:
                    rows += run_peer(python.absolute(), subject, folder / subject)
            rows += run_nothing(folder / "empty")
    return pd.DataFrame(rows, columns=COLUMNS)
