"""compare: CSV to submission, here and in what a user would pick instead, in one run.

    python -m benchmarks.compare --peers .peers/bin/python --runs 5

Reads data/mnist, as `dvc repro` left it. Every subject does the notebook's recipe on the same CSV
files: four other libraries, and this pipeline, as a whole and stage by stage; all take turns.
Writes benchmarks/results.md and benchmarks/results.png.
"""

import shutil
import subprocess
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.floor import copy_time
from benchmarks.measure import Cost, run
from benchmarks.results import PEERS, THIS, Measured, draw, report
from benchmarks.workspace import STAGES, Workspace, dvc_state, environment
from digits.data.csv_files import read_table
from digits.errors import InputError, run_command
from digits.files import replacing
from tests.sandbox import ROOT

DATA = Path("data/mnist")
RECIPE = ROOT / "recipes" / "seed.yaml"
MODULES = dict(
    zip(
        PEERS,
        ("fastai_learner", "lightning_trainer", "dataloader", "sklearn_classifier"),
        strict=True,
    )
)
RESULTS, CHART = Path("benchmarks/results.md"), Path("benchmarks/results.png")


class Bench:
    """Everything that is measured, and the folders in which it is.

    Attributes:
        measured: what was measured so far.
    """

    def __init__(self, folder: Path, peers: Path) -> None:
        """Make a workspace for the pipeline, one for the peers, and an empty project of DVC."""
        self._python = str(peers)
        self._workspace = Workspace(folder / THIS, RECIPE, {})
        self._peers, self._empty = folder / "peers", folder / "empty"
        for copy in (self._workspace.folder, self._peers):
            shutil.copytree(ROOT / DATA, copy / DATA)
        _make_empty_project(self._empty)
        self.measured = Measured(defaultdict(list), defaultdict(list), defaultdict(list))

    def take_turns(self, reverse: bool) -> None:
        """Measure everything once, in one order or the other."""
        turns: list[Callable[[], None]] = [partial(self._run_peer, name) for name in PEERS]
        turns.append(self._run_pipeline)
        for measure in reversed(turns) if reverse else turns:
            measure()
        self._run_nothing()
        self._find_floors()

    def _run_peer(self, name: str) -> None:
        paths = {"PYTHONPATH": str(ROOT / "benchmarks")}
        command = [self._python, "-m", f"peers.{MODULES[name]}"]
        (self._peers / "submission.csv").unlink(missing_ok=True)
        cost = run(command, self._peers, environment() | paths)
        self._keep(name, cost, self._peers)
        self.measured.seconds[f"fit {name}"].append(printed(cost, "fit"))

    def _run_pipeline(self) -> None:
        """Reproduce everything; then run each stage alone, and the fit alone."""
        workspace = self._workspace
        workspace.clear()
        self._keep(THIS, workspace.reproduce(), workspace.folder)
        for stage in STAGES:
            self.measured.costs[stage].append(workspace.run_stage(stage))
        cost = workspace.run("python", "-m", "benchmarks.fit")
        for key, name in ((f"fit {THIS}", "fit"), ("rate", "rate"), ("step", "step")):
            self.measured.seconds[key].append(printed(cost, name))

    def _keep(self, name: str, cost: Cost, folder: Path) -> None:
        self.measured.costs[name].append(cost)
        accuracy = score(folder / "submission.csv", ROOT / DATA / "solution.csv")
        self.measured.accuracies[name].append(accuracy)

    def _run_nothing(self) -> None:
        """Reproduce where there is nothing to do, in turns: here, and in an empty project."""
        empty = environment() | dvc_state(self._empty)
        for _ in range(3):
            for name, folder, variables in (
                ("nothing here", ROOT, environment()),
                ("nothing", self._empty, empty),
            ):
                self.measured.costs[name].append(run(["dvc", "repro"], folder, variables))

    def _find_floors(self) -> None:
        workspace = self._workspace
        for stage in STAGES:
            # As `python -m stages` imports it.
            code = f"import gc; gc.disable(); import stages.{stage}; gc.freeze()"
            imported = workspace.run("python", "-c", code)
            self.measured.seconds[f"imports {stage}"].append(imported.wall)
            files = (workspace.files(stage, part) for part in ("deps", "outs"))
            self.measured.seconds[f"bytes {stage}"].append(copy_time(*files))


def _make_empty_project(folder: Path) -> None:
    """Make a project of DVC with one stage, which has run."""
    folder.mkdir()
    variables = environment() | dvc_state(folder)
    (folder / "dvc.yaml").write_text("stages:\n  one:\n    cmd: echo one > out\n    outs: [out]\n")
    for command in ("git init --quiet", "dvc init --quiet", "dvc repro --quiet"):
        subprocess.run(command.split(), cwd=folder, env=variables, check=True)
    (folder / ".dvc" / "config").write_bytes((ROOT / ".dvc" / "config").read_bytes())


def printed(cost: Cost, name: str) -> float:
    """Return the number that a command printed after `name`."""
    [line] = [line for line in cost.output.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def score(submission: Path, solution: Path) -> float:
    """Return the share of a submission's labels that are the solution's, from 0 to 1."""
    given, true = (
        read_table(path, {"Label": str}, "a submission") for path in (submission, solution)
    )
    return float((given["Label"] == true["Label"]).mean())


def check_up_to_date() -> None:
    """Raise InputError unless there is nothing to reproduce."""
    command = ["dvc", "status", "--quiet"]
    if subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode != 0:
        raise InputError("dvc status: something is to be done; expected nothing (run make repro)")


def main() -> None:
    """Measure, and write the results."""
    parser = ArgumentParser(description="Measure this pipeline beside others.")
    parser.add_argument("--peers", type=Path, required=True, help="the python of their environment")
    parser.add_argument("--runs", type=int, default=5, help="of each subject")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error(f"--runs {arguments.runs}: expected at least 1")
    check_up_to_date()
    with TemporaryDirectory() as name:
        bench = Bench(Path(name), arguments.peers.absolute())
        for number in range(arguments.runs):
            print(f"run {number + 1} of {arguments.runs}", flush=True)
            bench.take_turns(reverse=number % 2 == 1)
    draw(CHART, bench.measured)
    text = report(bench.measured)
    with replacing(RESULTS) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run_command(main)
