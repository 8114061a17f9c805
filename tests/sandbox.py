"""Copies of the project in which anything may be run, with synthetic images from a mirror."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digits.data.mnist import IDX_SHA256, write_idx
from digits.params import as_yaml, load_yaml, overlay
from tools.project import LOCK, copy_files, outputs, read_lock

ROOT = Path(__file__).parent.parent
PINNED = ROOT / "constraints.txt"
SEED, ONE_CYCLE = (ROOT / "recipes" / f"{name}.yaml" for name in ("seed", "one_cycle"))
CLASSES = 3
# Without what the pipeline made here, and without the studies, which are stages of their own.
COPIED = (
    *("digits", "stages", "tools", "dvc.yaml", PINNED.name, "pyproject.toml", "data", "models"),
    *("recipes", ".dvc", ".gitignore", ".gitattributes", ".dvcignore"),
)
NOTHING: Mapping[str, Any] = MappingProxyType({})


def draw_images(
    rows: int, seed: int = 0, side: int = 4
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw images whose bright row of pixels is the one that their class counts.

    Returns pixels, shape (rows, side * side), from 0 to 255, and classes, shape (rows,), 0 to 2.
    """
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % CLASSES
    pixels = generator.integers(0, 100, (rows, side, side), dtype=np.uint8)
    pixels[np.arange(rows), labels] = generator.integers(200, 256, (rows, side), dtype=np.uint8)
    return pixels.reshape(rows, side * side), labels


def read_recipe(recipe: Path, changes: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
    """Return all params: one_cycle's, over them a recipe's, and changes by keys like "train.lr"."""
    recipes = overlay(load_yaml(ONE_CYCLE, "params"), load_yaml(recipe, "a recipe"))
    params: dict[str, Any] = overlay(recipes, changes)
    return params


def snapshot(folder: Path) -> dict[str, str]:
    """Return the hash of every file but those that Git, DVC and Python keep for themselves."""
    kept = {".git", ".dvc", "__pycache__"}
    paths = [path for path in folder.rglob("*") if path.is_file() and not kept & set(path.parts)]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def recorded(folder: Path, path: Path) -> str:
    """Return the MD5 of an output in the dvc.lock of a folder."""
    return {output.path: output.md5 for output in outputs(read_lock(folder / LOCK))}[str(path)]


@dataclass
class Sandbox:
    """A copy of the pipeline in a Git repository of its own; DVC's state is its own, too.

    `source` is the file with the place of the images; a copy of this may name another folder.
    """

    folder: Path
    source: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a command: this environment's programs, and DVC's state in the copy."""
        return {
            **os.environ,
            "DIGITS_MNIST": str(self.source),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": f"{self.folder}.site",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "SHELL": "/bin/sh",
        }

    def edit(self, name: str, old: str, new: str) -> None:
        """Put `new` in the place of `old`, which is in the file once."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{old!r} is {text.count(old)} times in {name}")
        path.write_text(text.replace(old, new), encoding="utf-8")

    def start(
        self, *command: str, environment: Mapping[str, str] = NOTHING, output: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start a command in the sandbox, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )

    def attempt(
        self, *command: str, environment: Mapping[str, str] = NOTHING
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the sandbox, however it ends."""
        with self.start(*command, environment=environment) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def run(self, *command: str) -> str:
        """Run a command that must succeed; return what it prints."""
        ran = self.attempt(*command)
        if ran.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run("git", "add", "--all")
        who = ["-c", "user.name=sandbox", "-c", "user.email=sandbox@example.com"]
        self.run("git", *who, "commit", "--quiet", "--allow-empty", "--message", message)


class Proof(NamedTuple):
    """A sandbox in which the pipeline has run, and the hashes of the files that it has led to."""

    box: Sandbox
    quiet: dict[str, str]


def write_mirror(folder: Path, rows: int, side: int) -> Path:
    """Write images in MNIST's place, and the file that DIGITS_MNIST is to name; return that."""
    pixels, labels = draw_images(rows * 5 // 3, side=side)
    arrays = (pixels.reshape(-1, side, side), labels.astype(np.uint8))
    parts = [array[part] for part in (slice(rows), slice(rows, None)) for array in arrays]
    hashes = {}
    for name, part in zip(IDX_SHA256, parts, strict=True):
        hashes[name] = hashlib.sha256(write_idx(part)).hexdigest()
        (folder / f"{name}.gz").write_bytes(gzip.compress(write_idx(part), mtime=0))
    source = folder / "source.json"
    mirror = f"{folder.as_uri()}/"
    source.write_text(json.dumps({"url": mirror, "sha256": hashes}))
    return source


@contextmanager
def sandbox(rows: int, side: int = 4) -> Iterator[Proof]:
    """Yield a new sandbox in which the pipeline has run, and its results are committed.

    It has so many labelled images, a multiple of 3, and two thirds as many to predict.
    """
    with TemporaryDirectory() as name:
        box = Sandbox(Path(name) / "project", write_mirror(Path(name), rows, side))
        copy_files(ROOT, box.folder, *COPIED)
        params = read_recipe(SEED, {"prepare.validation": rows // 3})
        (box.folder / "params.yaml").write_text(as_yaml(params))
        box.run("git", "init", "--quiet")
        box.commit("Begin")
        box.run("dvc", "repro")
        box.commit("Record a run")
        yield Proof(box, snapshot(box.folder))
