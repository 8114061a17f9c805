"""Tiny synthetic data: images of 4 x 4 pixels in three classes, easy to tell apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ruamel.yaml import YAML

from digits import numerics
from digits.kaggle import write_images
from digits.params import Numerics

ROOT = Path(__file__).parent.parent
CLASSES, PIXELS = 3, 16

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]
ParamsWriter = Callable[[dict[str, Any]], None]


def pytest_configure() -> None:
    numerics.configure(Numerics(mode="portable", threads=2))


def make_images(rows: int, seed: int = 0) -> Images:
    """Draw images whose bright row of pixels is the one that their class counts."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % CLASSES
    pixels = generator.integers(0, 100, (rows, 4, 4), dtype=np.uint8)
    pixels[np.arange(rows), labels] = generator.integers(200, 256, (rows, 4), dtype=np.uint8)
    return pixels.reshape(rows, PIXELS), labels


def tiny_params(changes: dict[str, Any]) -> dict[str, Any]:
    """Return params for the tiny images, with changes such as {"train.lr": 0.5}."""
    params: dict[str, Any] = YAML(typ="safe").load(ROOT / "recipes" / "seed.yaml")
    params["data"] = {"train": "train.csv", "test": "test.csv", "classes": CLASSES}
    params["prepare"]["validation"] = 30
    params["train"] |= {"widths": [8], "epochs": 3, "batch_size": 10, "lr": 0.1}
    params["evaluate"]["gallery"] = 5
    for key, value in changes.items():
        section, name = key.split(".")
        params[section][name] = value
    return params


@pytest.fixture
def write_params(tmp_path: Path) -> ParamsWriter:
    """Write params for the tiny images to params.yaml."""

    def write(changes: dict[str, Any]) -> None:
        with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
            YAML().dump(tiny_params(changes), file)

    return write


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter) -> Path:
    """Go to a folder that holds params.yaml, train.csv (90 rows) and test.csv (12 rows)."""
    monkeypatch.chdir(tmp_path)
    write_params({})
    write_images(Path("train.csv"), *make_images(90))
    write_images(Path("test.csv"), make_images(12, seed=1)[0])
    return tmp_path
