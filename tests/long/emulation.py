"""emulation: the whole pipeline on other processors, which must give the same bytes.

    python -m tests.long.emulation
    python -m tests.long.emulation tests/long/everything.yaml
    python -m tests.long.emulation --whole recipes/one_cycle.yaml recipes/fast.yaml

Runs each recipe, by default all, from the first rows of data/mnist/train.csv to the report page,
with a few steps of training: here, with other threads and kernels, and on processors that
qemu emulates, one of them ARM's (see aarch64.py). Compares every file, prints
a SHA-256 of them all for each recipe, and fails where a machine has other bytes. With `--whole`,
on all rows and to the last epoch: on a GPU, and on the CPU.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, redirect_stdout
from importlib import import_module
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from digits.errors import InputError, expecting, run_command
from digits.evaluation.label_errors import SUSPECTS
from digits.params import PARAMS, as_yaml, load_recipe
from tests.long import aarch64

ROOT = aarch64.ROOT
STAGES = ("prepare", "train", "evaluate", "predict", "score", "report")
TRAIN = Path("data/mnist/train.csv")
RECIPES = [*sorted((ROOT / "recipes").glob("*.yaml")), ROOT / "tests/long/everything.yaml"]
# A batch and `LAST` rows. All are odd: a division by a power of two hides much.
LAST, VALIDATION, TEST = 37, 51, 21
FILES: dict[str, object] = {"data.train": "train.csv", "data.test": "test.csv"}
CHANGES = {
    "prepare.validation": VALIDATION,
    "train.epochs": 2,
    "evaluate.gallery": 7,
}
HERE = [sys.executable]
# Two at a time, each emulated one with one thread; a GPU, where there is one, is the first's.
ALONE = ["env", "DIGITS_DEVICE=cpu", "OMP_NUM_THREADS=1"]
KERNELS = ["ATEN_CPU_CAPABILITY=default", "MKL_ENABLE_INSTRUCTIONS=SSE4_2"]
MACHINES = {
    "native": HERE,
    "native, one thread": [*ALONE, *HERE],
    "native, other kernels": ["env", "DIGITS_DEVICE=cpu", *KERNELS, *HERE],
    "Intel Haswell, emulated": [*ALONE, "qemu-x86_64", "-cpu", "Haswell", *HERE],
    "ARM Neoverse N1, emulated": [*ALONE, *aarch64.QEMU, str(aarch64.PYTHON)],
}
DEVICES = {name: ["env", f"DIGITS_DEVICE={name}", *HERE] for name in ("cuda", "cpu")}

# SHA-256 by the name of a file, and such by the recipe.
Digests = Mapping[str, str]


def write_inputs(recipe: Path, folder: Path, *, whole: bool = False) -> None:
    """Write a recipe, for a few steps unless it is run whole, and rows of `TRAIN` to a new folder.

    Raises:
        InputError: there is no such recipe, or there are not enough rows.
    """
    train = load_recipe(recipe).train.batch_size + LAST + VALIDATION
    with expecting(TRAIN, "what download writes"), TRAIN.open(encoding="utf-8") as file:
        header, *rows = islice(file, None if whole else 1 + train + TEST)
    if len(rows) < train + TEST:
        raise InputError(
            f"{TRAIN}: {len(rows)} rows; expected at least {train + TEST} for {recipe.name}"
        )
    (folder / SUSPECTS).parent.mkdir(parents=True)
    (folder / "train.csv").write_text("".join([header, *rows[:-TEST]]), encoding="utf-8")
    (folder / "test.csv").write_text("".join([header, *rows[-TEST:]]), encoding="utf-8")
    shutil.copy(ROOT / SUSPECTS, folder / SUSPECTS)
    params = load_recipe(recipe, FILES if whole else FILES | CHANGES).model_dump(mode="json")
    (folder / PARAMS).write_text(as_yaml(params), encoding="utf-8")


def digest(recipe: Path, *, whole: bool = False) -> Digests:
    """Run a recipe on this processor; return the SHA-256 of each file that it leads to.

    Raises:
        InputError: there is no such recipe, or there are not enough rows.
    """
    with TemporaryDirectory() as name:
        folder = Path(name) / "project"
        write_inputs(recipe, folder, whole=whole)
        with chdir(folder), redirect_stdout(sys.stderr):
            for stage in STAGES:
                print(f"{recipe.stem}: {import_module(f'stages.{stage}').main()}")
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        contents = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def combine(digests: Digests) -> str:
    """Return the first hexadecimal digits of a SHA-256 of all of them."""
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:12]


def run(machine: str, command: Sequence[str], arguments: Sequence[str]) -> dict[str, Digests]:
    """Return what `digest` finds on another machine, by recipe.

    Args:
        machine: its name.
        command: that runs Python there.
        arguments: of this study there.

    Raises:
        InputError: the machine is not there, or something fails on it.
    """
    for program in command:
        if program.startswith("qemu-") and not shutil.which(program):
            raise InputError(f"{program}: not installed; expected Debian's package qemu-user")
    if not Path(command[-1]).exists():
        raise InputError(f"{command[-1]}: no such file; expected what make emulate makes")
    study = [*command, "-m", "tests.long.emulation", "--alone", *arguments]
    ran = subprocess.run(study, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise InputError(f"{machine}: {' '.join(ran.stderr.split())[-500:]}")
    print(f"{machine}: done", file=sys.stderr, flush=True)
    found: dict[str, Digests] = json.loads(ran.stdout)
    return found


def differences(found: Mapping[str, Digests]) -> Iterator[str]:
    """Yield each file that is not the same everywhere, and the machines that differ from the first.

    Args:
        found: what `digest` found, by machine.
    """
    first, *_ = found.values()
    for name in sorted({name for digests in found.values() for name in digests}):
        other = [one for one, digests in found.items() if digests.get(name) != first.get(name)]
        if other:
            yield f"{name} ({'; '.join(other)})"


def main() -> None:
    """Run the study."""
    parser = ArgumentParser(description="Run recipes on other processors.")
    parser.add_argument("recipes", nargs="*", type=Path, default=RECIPES, help="params files")
    parser.add_argument("--alone", action="store_true", help="on this processor only")
    parser.add_argument("--whole", action="store_true", help="all rows and epochs, on GPU and CPU")
    asked = parser.parse_args()
    recipes = [recipe.resolve() for recipe in asked.recipes]
    if asked.alone:
        found = {recipe.stem: digest(recipe, whole=asked.whole) for recipe in recipes}
        print(json.dumps(found))
        return
    machines = DEVICES if asked.whole else MACHINES
    arguments = ["--whole"] * asked.whole + [str(recipe) for recipe in recipes]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # The slowest begin first.
        ran = {
            name: pool.submit(run, name, command, arguments)
            for name, command in reversed(machines.items())
        }
        results = {name: ran[name].result() for name in machines}
    count = 0
    for recipe in (recipe.stem for recipe in recipes):
        found = {name: digests[recipe] for name, digests in results.items()}
        native, different = next(iter(found.values())), list(differences(found))
        told = f"{len(different)} differ:" if different else f"the same on {len(found)} machines"
        print(f"{recipe:10}  {combine(native)}  {len(native)} files, {told}")
        for one in different:
            print(f"  {one}")
        count += len(different)
    if count:
        raise InputError(f"{count} files differ; expected the same bytes everywhere")


if __name__ == "__main__":
    run_command(main)
