"""A copy of the project on the same CSV files, whose stages are run and timed again and again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost, run
from digits.network.device import VARIABLE
from tests.sandbox import ROOT, change_params
from tools.project import LOCK, copy_files, read_lock
from tools.recipe import apply

STAGES = ("prepare", "train", "evaluate", "predict")
MADE = (
    *("data/prepared", "models", "metrics", "plots", "submission.csv", "dvc.lock"),
    *(".dvc/cache", ".dvc/tmp", ".dvc/site"),
)


class Workspace:
    """A copy of the files that Git tracks or would track, as they are, with a recipe's params.

    Attributes:
        folder: where it lies.
    """

    def __init__(self, folder: Path, recipe: Path, changes: Mapping[str, Any]) -> None:
        """Make it in a new `folder`, and change the params of `recipe`, such as "train.lr"."""
        self.folder = folder
        copy_files(ROOT, folder)
        apply(recipe, folder / "params.yaml")
        change_params(folder / "params.yaml", changes)
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        self.clear()

    def clear(self) -> None:
        """Remove all that the stages made, and what DVC knows of it."""
        for name in MADE:
            path = self.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def run(self, *command: str) -> Cost:
        """Run a command in this folder and this environment; return what it cost."""
        return run(command, self.folder, environment() | dvc_state(self.folder))

    def run_stage(self, stage: str) -> Cost:
        """Run one stage, without DVC."""
        return self.run("python", "-m", "stages", stage)

    def reproduce(self) -> Cost:
        """Run the four stages from the CSV files to the submission, as far as they are not done."""
        return self.run("dvc", "repro", "--single-item", *STAGES)

    def files(self, stage: str, part: str) -> list[Path]:
        """Return the files behind the "deps" or the "outs" of a stage that was reproduced."""
        lock = read_lock(self.folder / LOCK)
        paths = [self.folder / entry["path"] for entry in lock["stages"][stage][part]]
        inside = [path.rglob("*") if path.is_dir() else [path] for path in paths]
        return [path for found in inside for path in found if path.is_file()]


def environment() -> dict[str, str]:
    """Return the variables with which a command finds the programs here, and trains as peers do."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, VARIABLE: "cpu"}


def dvc_state(folder: Path) -> dict[str, str]:
    """Return the variables with which DVC keeps what it knows of a project inside it."""
    return {
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc" / "site"),
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
