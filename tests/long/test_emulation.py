"""The whole pipeline on other processors, which must give the same bytes.

    pytest -m long tests/long/test_emulation.py

From the first rows of train.csv to the report page, with a few steps of training: here, with other
threads and kernels, and on processors that qemu emulates. By default with everything that training
knows on; every recipe if RECIPES is "all". On a GPU, if there is one, whole recipes.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from ruamel.yaml import YAML

from digits.evaluation.label_errors import SUSPECTS
from digits.params import PARAMS, Augment, Params, Train
from tests.long import aarch64
from tests.sandbox import ROOT, SEED, read_recipe, snapshot

EVERYTHING = Path(__file__).with_name("everything.yaml")
RECIPES = sorted((ROOT / "recipes").glob("*.yaml")) if os.environ.get("RECIPES") == "all" else []
TRAIN = ROOT / "data/mnist/train.csv"
STAGES = "import prepare, train, evaluate, predict, score, report"
# A batch and `LAST` rows. All are odd: a division by a power of two hides much.
LAST, VALIDATION, TEST = 37, 51, 21
FILES = {"data.train": "train.csv", "data.test": "test.csv"}
SHORT = FILES | {"prepare.validation": VALIDATION, "train.epochs": 2, "evaluate.gallery": 7}
HERE = [sys.executable]
KERNELS = ["ATEN_CPU_CAPABILITY=default", "MKL_ENABLE_INSTRUCTIONS=SSE4_2"]
MACHINES = {
    "native": HERE,
    "one thread": ["env", "OMP_NUM_THREADS=1", *HERE],
    "other kernels": ["env", *KERNELS, *HERE],
    "Intel Haswell": ["env", "OMP_NUM_THREADS=1", "qemu-x86_64", "-cpu", "Haswell", *HERE],
    "ARM Neoverse N1": ["env", "OMP_NUM_THREADS=1", *aarch64.QEMU],
}
Digests = Mapping[str, str]


def write_inputs(recipe: Path, folder: Path, *, whole: bool = False) -> None:
    """Write a recipe, for a few steps unless it is run whole, and rows of `TRAIN` to a folder."""
    params = read_recipe(recipe, FILES if whole else SHORT)
    rows = params["train"]["batch_size"] + LAST + VALIDATION + TEST
    with TRAIN.open(encoding="utf-8") as file:
        header, *lines = islice(file, None if whole else 1 + rows)
    (folder / SUSPECTS).parent.mkdir(parents=True)
    (folder / "train.csv").write_text("".join([header, *lines[:-TEST]]), encoding="utf-8")
    (folder / "test.csv").write_text("".join([header, *lines[-TEST:]]), encoding="utf-8")
    shutil.copy(ROOT / SUSPECTS, folder / SUSPECTS)
    YAML().dump(params, folder / PARAMS)


def run(command: list[str], recipe: Path, device: str = "cpu", *, whole: bool = False) -> Digests:
    """Run a recipe with a command for Python; return the hash of each file that it leads to."""
    code = f"from stages {STAGES}\nfor one in ({STAGES.removeprefix('import ')}): one.main()"
    with TemporaryDirectory() as name:
        write_inputs(recipe, Path(name), whole=whole)
        variables = os.environ | {"PYTHONPATH": str(ROOT), "DIGITS_DEVICE": device}
        ran = subprocess.run(
            [*command, "-c", code], cwd=name, env=variables, capture_output=True, check=False
        )
        assert ran.returncode == 0, ran.stderr.decode()
        return snapshot(Path(name))


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[tuple[str, Path], Future[Digests]]]:
    """Run every recipe on every machine, two at a time, the slowest first."""
    programs = {name: [word for word in MACHINES[name] if "qemu-" in word] for name in MACHINES}
    there = [name for name, needed in programs.items() if all(map(shutil.which, needed))]
    if "ARM Neoverse N1" in there:
        aarch64.make()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {
            (name, recipe): pool.submit(run, MACHINES[name], recipe)
            for recipe in [EVERYTHING, *RECIPES]
            for name in reversed(there)
        }


@pytest.mark.long
@pytest.mark.skipif(not TRAIN.exists(), reason="no images: `make repro` fetches them")
@pytest.mark.parametrize("recipe", [EVERYTHING, *RECIPES], ids=lambda recipe: recipe.stem)
@pytest.mark.parametrize("machine", list(MACHINES)[1:])
def test_every_byte_is_the_same_on_other_processors(
    runs: dict[tuple[str, Path], Future[Digests]], machine: str, recipe: Path
) -> None:
    if (machine, recipe) not in runs:
        pytest.skip("no qemu: Debian's package qemu-user")
    expected = runs["native", recipe].result()
    assert {"models/mlp.safetensors", "submission.csv", "report/index.html"} <= expected.keys()
    assert runs[machine, recipe].result() == expected


@pytest.mark.long
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("recipe", ["one_cycle", "fast"])
def test_every_byte_is_the_same_on_a_gpu(recipe: str) -> None:
    path = SEED.with_stem(recipe)
    assert run(HERE, path, "cuda", whole=True) == run(HERE, path, "cpu", whole=True)


def test_everything_that_may_be_on_is_on_in_a_run_on_other_processors() -> None:
    seed, everything = (Params.model_validate(read_recipe(path)) for path in (SEED, EVERYTHING))
    # What a study changes by itself.
    aside = {"rows", "widths", "epochs", "batch_size", "seed"}
    for name in Train.model_fields.keys() - aside - {"augment"}:
        assert getattr(everything.train, name) != getattr(seed.train, name), name
    for name in Augment.model_fields:
        assert getattr(everything.train.augment, name) != getattr(seed.train.augment, name), name
    assert everything.train.networks == 3  # no power of two
    assert everything.predict.shift
