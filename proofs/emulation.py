"""emulation: the same training under other processors, which must give the same bytes.

    python -m proofs.emulation --steps 200
    python -m proofs.emulation --steps 20 --recipe recipes/fast.yaml
    python -m proofs.emulation --steps 15 --recipe proofs/everything.yaml

Trains a recipe, by default that of params.yaml, for some steps on data/prepared, predicts the
validation rows and draws their worst and their confusion: natively, on one core, and under CPUs
that qemu-x86_64 (Debian's package qemu-user) emulates. Prints a SHA-256 of the weights, the
probabilities and each picture, and fails where they differ from the native ones.
"""

import hashlib
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import numpy as np

from digits import numerics
from digits.errors import InputError, report
from digits.figures import draw_confusion
from digits.galleries import Tile, draw_gallery
from digits.inference import infer, probabilities
from digits.measures import (
    Predictions,
    brier_score,
    confusion_matrix,
    negative_log_likelihood,
)
from digits.model import Ensemble, save_model
from digits.params import PARAMS, Params, load_params
from digits.tensors import PREPARED, Statistics
from digits.training import Labelled, begin, fit, trained
from stages.train import load_split

ROWS = 1000
MACHINES = {
    "native": [],
    "native, one core": ["taskset", "--cpu-list", "0"],
    "Intel Haswell, emulated": ["qemu-x86_64", "-cpu", "Haswell"],
    "AMD EPYC, emulated": ["qemu-x86_64", "-cpu", "EPYC"],
}


def train_steps(steps: int, params: Params) -> tuple[Ensemble, Labelled]:
    """Train for `steps` steps; return the network and the first validation rows."""
    numerics.configure(params.numerics)
    training, validation = load_split(params.data.classes)
    rows = steps * params.train.batch_size
    if not 1 <= rows <= len(training.labels):
        most = len(training.labels) // params.train.batch_size
        raise InputError(f"--steps {steps}: expected from 1 to {most}")
    first = Labelled(training.images[:rows], training.labels[:rows])
    held_out = Labelled(validation.images[:ROWS], validation.labels[:ROWS])
    train = params.train.model_copy(update={"epochs": 1})
    state = begin(first.images.shape[1], params.data.classes, train)
    list(fit(state, first, held_out, train))
    return Ensemble([trained(state)]), held_out


def digest(steps: int, recipe: Path = PARAMS) -> dict[str, str]:
    """Return the SHA-256 of what `steps` steps of training lead to, by name."""
    params = load_params(recipe)
    model, held_out = train_steps(steps, params)
    actual = held_out.labels.numpy()
    shares, logarithms = probabilities(infer(model, held_out.images, params.predict.shift))
    predictions = Predictions(actual, shares)
    losses = (
        negative_log_likelihood(logarithms, actual),
        brier_score(predictions.probabilities, actual),
    )
    confusion = confusion_matrix(predictions.predicted, actual, predictions.probabilities.shape[1])
    worst = predictions.misclassified()[:20].tolist()
    statistics = Statistics.load(PREPARED / "statistics.json")
    pictures = [statistics.picture(image) for image in held_out.images.numpy()[worst]]
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_model(model, folder / "weights")
        draw_gallery(folder / "gallery", "Worst", [Tile(image, "predicted") for image in pictures])
        names = [str(label) for label in range(len(confusion))]
        draw_confusion(folder / "confusion", confusion, "Confusion", names)
        contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    contents["probabilities"] = predictions.probabilities.tobytes() + np.array(losses).tobytes()
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def run(machine: str, steps: int, recipe: Path) -> str:
    """Return what this study prints on another machine."""
    prefix = MACHINES[machine]
    if prefix and not which(prefix[0]):
        raise InputError(f"{prefix[0]}: not installed; expected it for '{machine}'")
    alone = [sys.executable, "-m", "proofs.emulation", "--alone"]
    alone += ["--steps", str(steps), "--recipe", str(recipe)]
    ran = subprocess.run([*prefix, *alone], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise InputError(f"{machine}: {' '.join(ran.stderr.split())[-500:]}")
    return ran.stdout


def main() -> None:
    """Run the study."""
    parser = ArgumentParser(description="Train under other processors.")
    parser.add_argument("--steps", type=int, default=200, help="of training")
    parser.add_argument("--recipe", type=Path, default=PARAMS, help="a params file")
    parser.add_argument("--alone", action="store_true", help="on this processor only")
    arguments = parser.parse_args()
    if arguments.alone:
        for name, sha256 in digest(arguments.steps, arguments.recipe).items():
            print(f"  {name:13} {sha256}")
        return
    found = set()
    for machine in MACHINES:
        digests = run(machine, arguments.steps, arguments.recipe)
        print(f"{machine}\n{digests}", end="", flush=True)
        found.add(digests)
    if len(found) > 1:
        raise InputError(f"{len(found)} different results; expected the same bytes everywhere")
    print(f"the same bytes: {len(MACHINES)} of {len(MACHINES)}")


if __name__ == "__main__":
    report(main)
