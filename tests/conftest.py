"""Tiny synthetic data: images of 4 x 4 pixels in three classes, easy to tell apart."""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray

from digits.data.image_table import ImageTable, write_images
from digits.network.model import MLP, Ensemble, save_model
from digits.network.training import Labelled
from digits.params import as_yaml, load_recipe
from stages import prepare
from tests.long.faults import Proof
from tests.sandbox import CLASSES, ROOT, draw_images, sandbox
from tools.project import git

PIXELS = 16
LABELS = ("0", "1", "2")

RAY = {
    "tests/long/test_nodes.py",
    "tests/studies/test_cluster.py",
    "tests/studies/test_labels.py",
}

ParamsWriter = Callable[[dict[str, Any]], None]


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this very hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # One process begins with all tests that use the sandbox, which takes long to make; the other
    # takes file by file.
    items.sort(key=lambda item: not uses_sandbox(item))
    for item in items:
        group = "sandbox" if uses_sandbox(item) else item.location[0]
        # Ray gives its processes half a minute to start: never two of them at once.
        group = "ray" if group in RAY else group
        item.add_marker(pytest.mark.xdist_group(group))


def uses_sandbox(item: pytest.Item) -> bool:
    return "proof" in getattr(item, "fixturenames", ())


def tiny_params(changes: dict[str, Any]) -> dict[str, Any]:
    """Return params for the tiny images, with changes such as {"train.lr": 0.5}."""
    params = load_recipe(ROOT / "recipes" / "seed.yaml").model_dump(mode="json")
    params["data"] |= {"train": "train.csv", "test": "test.csv"}
    params["prepare"]["validation"] = 30
    params["train"] |= {"widths": [8], "epochs": 3, "batch_size": 10, "lr": 0.1}
    params["evaluate"]["gallery"] = 5
    for key, value in changes.items():
        *sections, name = key.split(".")
        reduce(getitem, sections, params)[name] = value
    return params


def read_images(path: Path) -> tuple[list[str], NDArray[np.uint8]]:
    """Return the labels, if there are any, and the pixels of a CSV file of images."""
    blocks = list(ImageTable(path, labelled=False).read())
    labels = [label for block in blocks for label in block.labels]
    return labels, np.concatenate([block.pixels for block in blocks])


def save_huge(path: Path) -> None:
    """Write a network whose weights are finite, and whose answers are not."""
    model = Ensemble([MLP([PIXELS, 8, CLASSES])])
    for parameter in model.parameters():
        parameter.data.fill_(1e30)
    save_model(model, path)


def new_network(widths: Sequence[int], seed: int = 0) -> MLP:
    """Draw a network, as nn.Linear does it."""
    torch.manual_seed(seed)
    return MLP(widths)


def draw_labelled(rows: int, seed: int = 0) -> Labelled:
    """Draw images as tensors, from 0 to 1, with their labels."""
    pixels, labels = draw_images(rows, seed)
    return Labelled(torch.from_numpy(pixels).float() / 255, torch.from_numpy(labels))


def list_listening(process: psutil.Process) -> set[str]:
    """Return the addresses that a process, and all that it has started, listen on."""
    return {
        connection.laddr.ip.removeprefix("::ffff:")
        for one in [process, *process.children(recursive=True)]
        for connection in one.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }


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
    with sandbox(rows=90) as box:
        yield Proof(box)
