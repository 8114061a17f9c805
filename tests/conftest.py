"""Tiny synthetic data: images of 4 x 4 pixels in three classes, easy to tell apart."""

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from digits.data.image_table import ImageTable, write_images
from digits.network.model import MLP, Weights
from digits.network.training import Labelled
from digits.network.workers import ALONE, Share
from digits.novelty import Novelty
from digits.params import as_yaml
from stages import prepare
from tests.sandbox import SEED, Proof, draw_images, read_recipe, sandbox
from tools.project import git

PIXELS = 16
LABELS = ("0", "1", "2")
TINY = {
    "data.train": "train.csv",
    "data.test": "test.csv",
    "prepare.validation": 30,
    "train.widths": [8],
    "train.epochs": 3,
    "train.batch_size": 10,
    "train.lr": 0.1,
    "evaluate.gallery": 5,
}
RAY = ("test_nodes.py", "test_cluster.py", "studies/test_labels.py")

ParamsWriter = Callable[[dict[str, Any]], None]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their number: archives hold the time, and xdist wants the same names twice."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this very hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    groups = {item: choose_group(item) for item in items}
    items.sort(key=lambda item: groups[item] != "sandbox")  # which takes long to make: the first
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item]))


def choose_group(item: pytest.Item) -> str:
    """Return what one process is to run: a file, all that use the sandbox, or all that use Ray."""
    if "proof" in getattr(item, "fixturenames", ()):
        return "sandbox"
    return "ray" if item.location[0].endswith(RAY) else item.location[0]


def tiny_params(changes: dict[str, Any]) -> dict[str, Any]:
    """Return params for the tiny images, with changes such as {"train.lr": 0.5}."""
    return read_recipe(SEED, TINY | changes)


def read_images(path: Path) -> tuple[list[str], NDArray[np.uint8]]:
    """Return the labels, if there are any, and the pixels of a CSV file of images."""
    blocks = list(ImageTable(path, labelled=False).read())
    labels = [label for block in blocks for label in block.labels]
    return labels, np.concatenate([block.pixels for block in blocks])


def zipped(content: bytes, names: Sequence[str] = ("images.csv",)) -> bytes:
    """Return a zip whose files all have that content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


def draw_weights(widths: Sequence[int], seed: int = 0) -> Weights:
    """Draw the weights of a network, as nn.Linear does it."""
    torch.manual_seed(seed)
    layers = [nn.Linear(*pair).requires_grad_(requires_grad=False) for pair in pairwise(widths)]
    return [(layer.weight.numpy(), layer.bias.numpy()) for layer in layers]


def draw_network(widths: Sequence[int], seed: int = 0) -> MLP[NDArray[Any]]:
    """Draw a network."""
    return MLP.of(draw_weights(widths, seed))


def draw_novelty(widths: Sequence[int]) -> Novelty:
    """Draw what the images of each class look like; each lies on the limit, or beyond."""
    classes = widths[-1]
    pixels = np.random.default_rng(1).integers(0, 256, (2 * classes, widths[0]), np.uint8)
    return Novelty.fit([pixels], np.arange(2 * classes) % classes, [pixels[:1]])


def draw_labelled(rows: int, seed: int = 0) -> Labelled:
    """Draw images as tensors, from 0 to 1, with their labels."""
    pixels, labels = draw_images(rows, seed)
    return Labelled(torch.from_numpy(pixels).float() / 255, torch.from_numpy(labels))


def share_of(rows: int) -> Share:
    """Return the share of a worker that is alone."""
    return ALONE.deal(torch.arange(rows), rows)[0]


@pytest.fixture
def write_params(tmp_path: Path) -> ParamsWriter:
    """Write params for the tiny images to params.yaml."""

    def write(changes: dict[str, Any]) -> None:
        (tmp_path / "params.yaml").write_text(as_yaml(tiny_params(changes)), encoding="utf-8")

    return write


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter) -> Path:
    """Go to a folder that holds params.yaml, train.csv (90 rows) and test.csv (12 rows)."""
    monkeypatch.chdir(tmp_path)
    write_params({})
    write_images(Path("train.csv"), *draw_images(90))
    write_images(Path("test.csv"), draw_images(12, seed=1)[0])
    return tmp_path


@pytest.fixture
def repository(project: Path) -> Path:
    """Go to a repository with one commit and prepared data."""
    prepare.main()
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    git("init", "--quiet")
    git(*author, "commit", "--quiet", "--allow-empty", "-m", "x")
    return project


@pytest.fixture(scope="session")
def proof() -> Iterator[Proof]:
    """Yield a sandbox in which the pipeline has run and its results are committed."""
    with sandbox(rows=90) as made:
        yield made
