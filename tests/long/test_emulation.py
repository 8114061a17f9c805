"""The whole pipeline on other processors, which must give the same bytes.

    pytest -m long tests/long/test_emulation.py

From the first rows of train.csv to the report page, with a few steps of training: here, with other
threads and kernels, on a GPU if there is one, and on processors that qemu emulates. By default with
everything that training knows on; every recipe if RECIPES is "all".
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from digits.evaluation.label_errors import SUSPECTS
from digits.params import PARAMS, Params, as_yaml
from tests.long import aarch64
from tests.sandbox import ROOT, SEED, read_recipe, snapshot

EVERYTHING = Path(__file__).with_name("everything.yaml")
NETWORKS = Path(__file__).with_name("networks.json")  # hashes of those that short runs come to
RECIPES = sorted((ROOT / "recipes").glob("*.yaml")) if os.environ.get("RECIPES") == "all" else []
TRAIN = ROOT / "data/mnist/train.csv"
STAGES = "prepare, train, evaluate, predict, score, report"
CODE = f"from stages import {STAGES}\nfor stage in ({STAGES}): stage.main()"
# A batch and `LAST` rows. All are odd: a division by a power of two hides much.
LAST, VALIDATION, TEST = 37, 51, 21
SHORT = {
    "data.train": "train.csv",
    "data.test": "test.csv",
    "prepare.validation": VALIDATION,
    "train.epochs": 2,
    "evaluate.gallery": 7,
}
HERE = [sys.executable]
KERNELS = ["ATEN_CPU_CAPABILITY=default", "MKL_ENABLE_INSTRUCTIONS=SSE4_2"]
MACHINES = {
    "native": HERE,
    "one thread": ["env", "OMP_NUM_THREADS=1", *HERE],
    "other kernels": ["env", *KERNELS, *HERE],
    "GPU": ["env", "DIGITS_DEVICE=cuda", *HERE],
    "Intel Haswell": ["env", "OMP_NUM_THREADS=1", "qemu-x86_64", "-cpu", "Haswell", *HERE],
    "ARM Neoverse N1": ["env", "OMP_NUM_THREADS=1", *aarch64.QEMU],
}
Runs = dict[tuple[str, Path], Future[dict[str, str]]]


def is_there(machine: str) -> bool:
    if machine == "GPU":
        return torch.cuda.is_available()
    return all(shutil.which(word) for word in MACHINES[machine] if word.startswith("qemu-"))


def write_inputs(recipe: Path, folder: Path) -> None:
    """Write a recipe, for a few steps, and rows of `TRAIN` to a folder."""
    params = read_recipe(recipe, SHORT)
    rows = params["train"]["batch_size"] + LAST + VALIDATION + TEST
    with TRAIN.open(encoding="utf-8") as file:
        header, *lines = islice(file, 1 + rows)
    (folder / SUSPECTS).parent.mkdir(parents=True)
    (folder / "train.csv").write_text("".join([header, *lines[:-TEST]]), encoding="utf-8")
    (folder / "test.csv").write_text("".join([header, *lines[-TEST:]]), encoding="utf-8")
    shutil.copy(ROOT / SUSPECTS, folder / SUSPECTS)
    (folder / PARAMS).write_text(as_yaml(params), encoding="utf-8")


def run(machine: str, recipe: Path) -> dict[str, str]:
    """Run a recipe on a machine; return the hash of each file that it leads to."""
    with TemporaryDirectory() as name:
        write_inputs(recipe, Path(name))
        variables = os.environ | {"PYTHONPATH": str(ROOT), "DIGITS_DEVICE": "cpu"}
        command = [*MACHINES[machine], "-c", CODE]
        ran = subprocess.run(command, cwd=name, env=variables, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        return snapshot(Path(name))


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """Run every recipe on every machine, two at a time, the slowest first."""
    there = [machine for machine in reversed(MACHINES) if is_there(machine)]
    if "ARM Neoverse N1" in there:
        aarch64.make()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {
            (machine, recipe): pool.submit(run, machine, recipe)
            for recipe in [EVERYTHING, *RECIPES]
            for machine in there
        }


@pytest.mark.long
@pytest.mark.skipif(not TRAIN.exists(), reason="no images: `make repro` fetches them")
@pytest.mark.parametrize("recipe", [EVERYTHING, *RECIPES], ids=lambda recipe: recipe.stem)
@pytest.mark.parametrize("machine", list(MACHINES)[1:])
def test_every_byte_is_the_same_on_other_processors(runs: Runs, machine: str, recipe: Path) -> None:
    if not is_there(machine):
        pytest.skip("no GPU, or no qemu: Debian's package qemu-user")
    expected = runs["native", recipe].result()
    assert {"submission.csv", "report/index.html"} <= expected.keys()
    assert expected["models/mlp.safetensors"] == json.loads(NETWORKS.read_text())[recipe.stem]
    assert runs[machine, recipe].result() == expected


def test_everything_that_may_be_on_is_on_in_a_run_on_other_processors() -> None:
    seed, everything = (Params.model_validate(read_recipe(path)) for path in (SEED, EVERYTHING))
    # What a study changes by itself.
    aside = {"rows", "widths", "epochs", "batch_size", "seed", "augment"}
    pairs = (seed.train, everything.train), (seed.train.augment, everything.train.augment)
    for off, on in pairs:
        for name in type(on).model_fields.keys() - aside:
            assert getattr(on, name) != getattr(off, name), name
    assert everything.train.networks == 3  # no power of two
    assert everything.prepare.straighten
    assert all(dict(everything.predict).values())
