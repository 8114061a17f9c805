"""A copy of the project with small synthetic images, in which anything may go wrong.

The images come from a mirror of its own, on loopback. The copy is a Git repository, and DVC's state
its own.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

from digits.data.mnist import IDX_SHA256, write_idx
from tools.recipe import apply

ROOT = Path(__file__).parent.parent
CLASSES = 3
COPIED = (
    *("digits", "stages", "tools", "dvc.yaml", "requirements.txt", "data/suspects.csv"),
    *(".gitignore", ".gitattributes", ".dvcignore"),
)


def draw_images(
    rows: int, seed: int = 0, side: int = 4
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw images whose bright row of pixels is the one that their class counts.

    Returns:
        Pixels, shape (rows, side * side), from 0 to 255, and classes, shape (rows,), from 0 to 2.
    """
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % CLASSES
    pixels = generator.integers(0, 100, (rows, side, side), dtype=np.uint8)
    pixels[np.arange(rows), labels] = generator.integers(200, 256, (rows, side), dtype=np.uint8)
    return pixels.reshape(rows, side * side), labels


def change_params(path: Path, changes: Mapping[str, Any]) -> None:
    """Change a params file, by keys such as "train.lr"."""
    params = YAML().load(path)
    for key, value in changes.items():
        section, name = key.split(".")
        params[section][name] = value
    YAML().dump(params, path)


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the files of `folder` on loopback, and yield their address."""
    handler = partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@contextmanager
def sandbox(rows: int, side: int = 4) -> Iterator["Sandbox"]:
    """Yield a new sandbox; it goes at the end.

    Args:
        rows: labelled images, a multiple of 3; there are two thirds as many to predict.
        side: their height and width, in pixels.
    """
    with TemporaryDirectory() as name:
        folder, mirror = Path(name) / "project", Path(name) / "mirror"
        folder.mkdir()
        mirror.mkdir()
        with serve(mirror) as url:
            yield Sandbox(folder, mirror, url, rows, side)


class Sandbox:
    """A copy of the project whose download reads small images from `mirror`.

    Attributes:
        folder: where the copy lies.
        mirror: the folder that is served in MNIST's place.
    """

    def __init__(self, folder: Path, mirror: Path, url: str, rows: int, side: int) -> None:
        self.folder = folder
        self.mirror = mirror
        self._environment = dict(os.environ) | {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PIP_NO_INDEX": "1",
            "SHELL": "/bin/sh",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self._copy()
        self._use_mirror(url, rows, side)
        self.set_params({"prepare.validation": rows // 3})
        self.run("git", "init", "--quiet")
        self.commit("Begin")

    def _copy(self) -> None:
        (self.folder / "data").mkdir()
        for name in COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, self.folder / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, self.folder / name)
        (self.folder / ".dvc").mkdir()
        shutil.copy(ROOT / ".dvc" / "config", self.folder / ".dvc" / "config")
        (self.folder / ".dvc" / ".gitignore").write_text("/config.local\n/site\n/tmp\n/cache\n")
        shutil.copy(ROOT / "recipes" / "one_cycle.yaml", self.folder / "params.yaml")
        apply(ROOT / "recipes" / "seed.yaml", self.folder / "params.yaml")

    def _use_mirror(self, url: str, rows: int, side: int) -> None:
        pixels, labels = draw_images(rows * 5 // 3, side=side)
        arrays = (pixels.reshape(-1, side, side), labels.astype(np.uint8))
        parts = [array[part] for part in (slice(rows), slice(rows, None)) for array in arrays]
        contents = {name: write_idx(part) for name, part in zip(IDX_SHA256, parts, strict=True)}
        for name, content in contents.items():
            (self.mirror / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        source = self.mirror / "source.json"
        source.write_text(json.dumps({"mirror": url, "sha256": hashes, "timeout": 2}))
        self._environment["DIGITS_MNIST"] = str(source)

    def clone(self, folder: Path) -> "Sandbox":
        """Clone the last commit to `folder`, as a colleague would: DVC knows nothing there."""
        self.run("git", "clone", "--quiet", ".", str(folder))
        other = copy(self)
        other.folder = folder
        return other

    def edit(self, name: str, pattern: str, new: str) -> None:
        """Put `new` in the place of the one match of a regular expression in a file."""
        path = self.folder / name
        text, found = re.subn(pattern, lambda _: new, path.read_text(encoding="utf-8"))
        if found != 1:
            raise ValueError(f"{pattern!r} is {found} times in {name}")
        path.write_text(text, encoding="utf-8")

    def set_params(self, changes: Mapping[str, Any]) -> None:
        """Change params.yaml, by keys such as "train.lr"."""
        change_params(self.folder / "params.yaml", changes)

    def start(
        self,
        *command: str,
        environment: Mapping[str, str] = MappingProxyType({}),
        output: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a command in the sandbox, in a process group of its own."""
        site = {"DVC_SITE_CACHE_DIR": str(self.folder / ".dvc" / "site")}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self._environment, **site, **environment},
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )

    def attempt(
        self, *command: str, environment: Mapping[str, str] = MappingProxyType({})
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
