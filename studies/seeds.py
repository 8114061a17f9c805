"""seeds: one recipe trained with many seeds, to see how far chance alone carries.

    python -m studies.seeds recipes/seed.yaml --seeds 10

Reads the recipe and data/prepared (as `dvc repro` left it); prints the validation accuracy of each
seed, from 0 on, then their mean and standard deviation. It trains on the training rows alone,
whatever `train.rows` says. The test images are not looked at.
"""

from argparse import ArgumentParser
from pathlib import Path
from statistics import mean, stdev

from digits import numerics
from digits.errors import report
from digits.params import load_params
from digits.training import begin, fit
from stages.train import load_split


def main() -> None:
    """Run the study."""
    parser = ArgumentParser(description="Train one recipe with many seeds.")
    parser.add_argument("recipe", type=Path, help="a params file")
    parser.add_argument("--seeds", type=int, default=10, help="how many, at least 2")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error(f"--seeds {arguments.seeds}: expected at least 2")
    params = load_params(arguments.recipe)
    numerics.configure(params.numerics)
    device = numerics.choose_device(params.numerics, params.train.device)
    training, validation = (part.to(device) for part in load_split(params.data.classes))
    accuracies = []
    for seed in range(arguments.seeds):
        train = params.train.model_copy(update={"seed": seed})
        state = begin(training.images.shape[1], params.data.classes, train, device)
        *_, last = fit(state, training, validation, train)
        accuracies.append(last.validation_accuracy)
        print(f"seed {seed}: validation accuracy {last.validation_accuracy:.4f}", flush=True)
    print(
        f"{arguments.recipe}: validation accuracy {mean(accuracies):.4f} +- "
        f"{stdev(accuracies):.4f} (mean and standard deviation, n = {len(accuracies)})"
    )


if __name__ == "__main__":
    report(main)
