"""run: a study, each training a task of its own on Ray.

    python -m studies.run studies/NAME.yaml

Ray runs on this machine, unless RAY_ADDRESS names a cluster. Reads the recipes, params.yaml and the
data/prepared that `dvc repro` made with it; where the study looks at the test images, their CSV
file and the answers as well. Writes studies/results/NAME.csv with a row for each trial, NAME.json
with means and differences, and NAME.png. A study that was stopped, or in which a training failed,
goes on with what is missing: studies/NAME.journal keeps the trained networks until all is done.
"""

import hashlib
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from digits.data.answers import ANSWERS
from digits.data.classes import load_classes
from digits.data.csv_files import write_table
from digits.data.split import stratified_folds
from digits.data.tensors import PREPARED, Statistics, map_labels, map_pixels
from digits.errors import InputError, run_command
from digits.evaluation.comparison import compare
from digits.files import write_json
from digits.network.checkpoint import identify
from digits.params import PARAMS, load_params
from stages.score import find_truth
from studies import trial as trial_code
from studies.cluster import Cluster, Task, cluster
from studies.design import RESULTS, Study, Trial, load_study
from studies.summary import CHANGES, draw_study, summarise
from studies.trial import Fit, Judged, Rows, judge, load_fit, train_network
from tools.project import find_commit, git

CODE = ("digits", "stages", "studies/*.py")


def load_rows(study: Study) -> Rows:
    """Read data/prepared; with one fold, the validation rows are held out."""
    classes = load_classes()
    size = Statistics.load(PREPARED / "statistics.json").pixels
    parts = [map_pixels(PREPARED / name, size) for name in ("train", "validation")]
    pairs = zip(("train", "validation"), map(len, parts), strict=True)
    labels = np.concatenate([map_labels(PREPARED / name, len(classes), n) for name, n in pairs])
    pixels, dealt = np.concatenate(parts), stratified_folds(labels, study.folds, seed=0)
    if study.folds == 1:
        dealt[: len(parts[0])] = -1
    if not study.test:
        return Rows(pixels, labels, len(classes), dealt, pixels[:0], labels[:0])
    table, test = load_params().data.test, map_pixels(PREPARED / "test", size)
    truth = find_truth(Path(table), ANSWERS, classes)
    if len(test) != len(truth):
        raise InputError(f"{table}: {len(truth)} images; expected the {len(test)} in {PREPARED}")
    return Rows(pixels, labels, len(classes), dealt, np.array(test), truth)


def plan(study: Study, rows: Rows) -> dict[Trial, dict[str, Task]]:
    """Return the trainings of each trial, by a SHA-256 of all that decides what they come to.

    So an ensemble and its networks alone share their trainings.
    """
    # `identify` looks at the library's code itself.
    origin = identify((Path(trial_code.__file__).read_bytes(), rows.sha256))
    variants = study.params()
    plans: dict[Trial, dict[str, Task]] = {trial: {} for trial in study.trials()}
    for trial, tasks in plans.items():
        params = variants[trial.variant]
        first = params.train.seed + trial.seed * params.train.networks
        for train in params.train.model_copy(update={"seed": first}).members():
            straighten = params.prepare.straighten
            decisive = repr((origin, straighten, train, trial.fold, study.folds)).encode()
            task = (params.model_copy(update={"train": train}), trial.fold)
            tasks[hashlib.sha256(decisive).hexdigest()] = task
    return plans


def train_all(
    machines: Cluster, plans: Mapping[Trial, Mapping[str, Task]], journal: Path, rows: Rows
) -> dict[str, Fit]:
    """Run the trainings that the journal does not hold; return what all came to, by name.

    Raises `InputError` where some have failed: all others are in the journal by then.
    """
    tasks = {name: task for own in plans.values() for name, task in own.items()}
    read = {name: load_fit(journal / name, rows.pixels.shape[1], rows.classes) for name in tasks}
    fits = {name: fit for name, fit in read.items() if fit}
    missing = {name: task for name, task in tasks.items() if name not in fits}
    failed: dict[str, InputError] = {}
    ended = machines.run(train_network, missing)
    shown = tqdm(ended, "trainings", len(tasks), initial=len(fits), disable=None)
    for number, (name, found) in enumerate(shown, len(fits) + 1):
        if shown.disable:  # without a terminal
            print(f"trainings: {number} of {len(tasks)}", flush=True)
        if isinstance(found, InputError):
            failed[name] = found
        else:
            found.save(journal / name)
            fits[name] = found
    for trial, own in plans.items():
        for reason in (failed[name] for name in own if name in failed):
            told = str(reason).removeprefix(f"{PARAMS}: ")
            raise InputError(f"{trial}: {told} ({len(failed)} of {len(tasks)} trainings failed)")
    return fits


@contextmanager
def conducted(path: Path) -> Iterator[tuple[Study, Rows, dict[Trial, Judged]]]:
    """Run the study in a file; yield what `judge` says of each trial, and remove the journal.

    Raises `InputError` where it cannot be run, a training has failed, or its code or recipes were
    edited while it ran.
    """
    commit, journal = find_commit("HEAD"), path.with_suffix(".journal")
    before = _edits(commit, path)
    study = load_study(path)
    rows = load_rows(study)
    plans = plan(study, rows)
    with cluster(rows) as machines:
        fits = train_all(machines, plans, journal, rows)
        trained: dict[Trial, Task] = {}
        for trial, own in plans.items():
            [(params, fold), *_] = own.values()
            trained[trial] = (params, fold, [fits[name] for name in own])
        judged = dict(machines.run(judge, trained))
    after = _edits(commit, path)
    if after[0] != before[0]:
        shutil.rmtree(journal)  # nobody knows which code has trained what
    if after != before:  # and DVC would record what stands there now
        raise InputError(f"{path}: code or recipes were edited while it ran; expected them to stay")
    yield study, rows, {trial: judged[trial] for trial in plans}
    shutil.rmtree(journal)


def _edits(commit: str, path: Path) -> list[bytes]:
    return [git("diff", commit, "--", *names) for names in (CODE, ("recipes", str(path)))]


def compare_with_before(
    study: Study, rows: Rows, judged: Mapping[Trial, Judged], trial: Trial
) -> tuple[int, int]:
    """Return how many rows a trial has right that the variant before has wrong, and the reverse.

    None, where there is none before it that answers the same rows.
    """
    names, actual = list(study.variants), rows.labels[rows.folds == trial.fold]
    before = replace(trial, variant=names[max(names.index(trial.variant) - 1, 0)])
    was, now = (judged.get(one, judged[trial])[1] for one in (before, trial))
    if not len(was) == len(now) == len(actual):
        return 0, 0
    found = compare(actual, was.argmax(axis=1), now.argmax(axis=1))
    return found.fixed, found.broken


def write_results(path: Path, study: Study, rows: Rows, judged: Mapping[Trial, Judged]) -> None:
    """Write the results of the study in a file: a table, a summary and a chart."""
    changed = git("status", "--porcelain", "--", *CODE, "recipes")
    commit = find_commit("HEAD") + "-dirty" * bool(changed)
    found = [
        {"recipe": study.variants[trial.variant].recipe, **asdict(trial), **figures}
        | dict(zip(CHANGES, compare_with_before(study, rows, judged, trial), strict=True))
        for trial, (figures, _) in judged.items()
    ]
    table = pd.DataFrame(found).assign(commit=commit, data=rows.sha256)
    write_table(RESULTS / f"{path.stem}.csv", table)
    write_json(RESULTS / f"{path.stem}.json", summarise(table, len(rows.labels)))
    draw_study(RESULTS / f"{path.stem}.png", table)


def parse_path(description: str) -> Path:
    """Return the study's file that the command line names."""
    parser = ArgumentParser(description=description)
    parser.add_argument("study", type=Path, help="a file such as studies/steps.yaml")
    path: Path = parser.parse_args().study
    return path


def main() -> None:
    """Run the study, and write what it finds."""
    path = parse_path("Train variants of recipes with many seeds and folds.")
    with conducted(path) as found:
        write_results(path, *found)
    print((RESULTS / f"{path.stem}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    run_command(main)
