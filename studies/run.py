"""run: a study, each training a task of its own on Ray.

    python -m studies.run studies/NAME.yaml

Ray runs on this machine, unless RAY_ADDRESS names a cluster. Reads the recipes, params.yaml and the
data/prepared that `dvc repro` made with it; where the study looks at the test images, their CSV
file and the answers as well. Writes studies/results/NAME.csv with a row for each trial, NAME.json
with means and differences, and NAME.png. Where a training fails, NAME.json says why, and the others
go on. A study that was stopped, or in which something failed, goes on with what is missing: the
networks trained so far are kept in studies/NAME.journal until all is done.
"""

import hashlib
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from digits.data.answers import ANSWERS
from digits.data.classes import load_classes
from digits.data.csv_files import without_formulas, write_table
from digits.data.split import stratified_folds
from digits.data.tensors import PREPARED, map_images, map_labelled
from digits.errors import InputError, run_command
from digits.files import write_json
from digits.network.checkpoint import identify
from digits.network.training import Labelled
from digits.params import PARAMS, Params, load_params
from digits.process import alone, end_with_parent
from stages._inputs import unchanged
from stages.score import find_truth
from studies import trial as trial_code
from studies.cluster import Cluster, Task, cluster
from studies.design import PIPELINE, RESULTS, Study, Trial, load_study
from studies.journal import Journal, name_training
from studies.summary import Failures, Outcomes, check, draw_study, split, summarise
from studies.trial import Fit, Result, Rows, judge, train_network
from tools.project import find_commit, git

PREPARING = ("data", "download", "prepare")  # the sections that data/prepared was made with
CODE = ("digits", "stages", "studies/*.py", "recipes")


def load_variants(study: Study, prepared: Params) -> dict[str, Params]:
    """Return the params of each variant.

    Args:
        study: whose variants they are.
        prepared: params.yaml, which data/prepared was made with.

    Raises:
        InputError: they cannot be used, or not with what was prepared.
    """
    variants = {}
    for name, variant in study.variants.items():
        try:
            variants[name] = variant.load()
            _check_variant(variants[name], prepared)
        except InputError as error:
            raise InputError(f"variants.{name}: {error}") from None
    return variants


def _check_variant(params: Params, prepared: Params) -> None:
    for section in PREPARING:
        for key, value in getattr(params, section):
            expected = getattr(getattr(prepared, section), key)
            if value != expected:
                raise InputError(
                    f"{section}.{key} = {value!r}; expected {expected!r}, which {PREPARED} was "
                    "made with (`set` changes it)"
                )
    if params.train.rows == "all":
        raise InputError("train.rows = 'all' holds no row out; expected 'train'")


def load_rows(params: Params, study: Study) -> Rows:
    """Read data/prepared; with one fold, the validation rows are held out.

    Raises:
        InputError: a file is missing or damaged, or the test images are not those of `data.test`.
    """
    classes = load_classes()
    train = map_labelled(PREPARED / "train", len(classes))
    pixels = train[0].shape[1]
    parts = [train, map_labelled(PREPARED / "validation", len(classes), pixels)]
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    dealt = stratified_folds(labels, study.folds, seed=0)
    if study.folds == 1:
        dealt[: len(train[1])] = -1
    test, truth = images[:0], labels[:0]
    if study.test:
        test = np.array(map_images(PREPARED / "test" / "images.npy", pixels))
        truth = find_truth(Path(params.data.test), ANSWERS, classes)
    if len(test) != len(truth):
        raise InputError(
            f"{params.data.test}: {len(truth)} images; expected the {len(test)} in {PREPARED}"
        )
    return Rows(images, labels, len(classes), dealt, test, truth)


def find_code() -> str:
    """Return the commit that the code is of, with "-dirty" after it where the code was changed."""
    changed = git("status", "--porcelain", "--", *CODE)
    return find_commit("HEAD") + "-dirty" * bool(changed)


def networks_of(params: Params, seed: int) -> list[Params]:
    """Return the params of each network of a trial, by the seed of the trial."""
    first = params.train.seed + seed * params.train.networks
    members = params.train.model_copy(update={"seed": first}).members()
    return [params.model_copy(update={"train": member}) for member in members]


def plan(
    study: Study, variants: Mapping[str, Params], rows: Rows
) -> tuple[dict[Trial, list[str]], dict[str, Task]]:
    """Return the names of the trainings that each trial needs, and each training as a task.

    An ensemble and its networks alone share their trainings.
    """
    labelled = Labelled(torch.from_numpy(rows.images), torch.from_numpy(rows.labels))
    # `identify` looks at the library's code alone.
    origin = identify((Path(trial_code.__file__).read_bytes(),), labelled)
    names: dict[Trial, list[str]] = {trial: [] for trial in study.trials()}
    tasks: dict[str, Task] = {}
    for trial, needed in names.items():
        for params in networks_of(variants[trial.variant], trial.seed):
            name = name_training(origin, params, trial.fold, study.folds)
            needed.append(name)
            tasks[name] = (params, trial.fold)
    return names, tasks


def train_missing(
    machines: Cluster, tasks: Mapping[str, Task], journal: Journal, rows: Rows
) -> dict[str, Fit | InputError]:
    """Run each training that the journal does not hold; return what all have come to."""
    fits: dict[str, Fit | InputError] = {}
    for name in tasks:
        if fit := journal.read(name, rows.images.shape[1], rows.classes):
            fits[name] = fit
    missing = {name: task for name, task in tasks.items() if name not in fits}
    if fits:
        print(f"{len(fits)} of {len(tasks)} trainings were done before")
    ended = machines.run(train_network, missing)
    for name, found in tqdm(ended, "trainings", len(missing), disable=None):
        if isinstance(found, Fit):
            journal.add(name, found)
        fits[name] = found
    return fits


def train_all(
    machines: Cluster, study: Study, variants: Mapping[str, Params], rows: Rows, journal: Journal
) -> tuple[dict[Trial, Task], Failures]:
    """Return the params, the fold and the trained networks of each trial, or why one has failed."""
    names, tasks = plan(study, variants, rows)
    fits = train_missing(machines, tasks, journal, rows)
    trained: dict[Trial, Task] = {}
    failed: Failures = {}
    for trial, needed in names.items():
        found = [fits[name] for name in needed]
        if errors := [one for one in found if isinstance(one, InputError)]:
            failed[trial] = InputError(str(errors[0]).removeprefix(f"{PARAMS}: "))
        else:
            trained[trial] = (variants[trial.variant], trial.fold, found)
    return trained, failed


def run(study: Study, variants: Mapping[str, Params], rows: Rows, journal: Journal) -> Outcomes:
    """Return the result of each trial, or why it has failed, in their order."""
    with cluster(rows) as machines:
        trained, failed = train_all(machines, study, variants, rows, journal)
        outcomes: Outcomes = {**failed, **dict(machines.run(judge, trained))}
    return {trial: outcomes[trial] for trial in study.trials()}


def write_results(name: str, study: Study, outcomes: Outcomes, rows: Rows, commit: str) -> None:
    """Write the results of a study, all trials of which have ended."""
    results, _ = split(outcomes)
    data = hashlib.sha256(rows.images.tobytes() + rows.labels.tobytes()).hexdigest()
    columns = [field.name for kind in (Trial, Result) for field in fields(kind)]
    rows_of = [
        (study.variants[trial.variant].recipe, *astuple(trial), *astuple(result), commit, data)
        for trial, result in results.items()
    ]
    table = pd.DataFrame(rows_of, columns=["recipe", *columns, "commit", "data"])
    write_table(RESULTS / f"{name}.csv", [without_formulas(table)])
    write_json(RESULTS / f"{name}.json", summarise(outcomes, len(rows.labels)))
    draw_study(RESULTS / f"{name}.png", results)


def run_and_write(path: Path) -> Outcomes:
    """Run the study in a file, and write its results; return them.

    Raises:
        InputError: it cannot be run, or its code was changed while it ran.
    """
    commit, code = find_code(), git("diff", "HEAD", "--", *CODE)
    study, prepared = load_study(path), load_params()
    variants, journal = load_variants(study, prepared), Journal.of(path)
    journal.folder.mkdir(parents=True, exist_ok=True)
    with alone(journal.folder):
        rows = load_rows(prepared, study)
        outcomes = run(study, variants, rows, journal)
        write_results(path.stem, study, outcomes, rows, commit)
    if git("diff", "HEAD", "--", *CODE) != code:
        journal.remove()  # nobody knows which code has trained what
        raise InputError(f"{path}: code was changed while it ran; expected it as its rows say")
    return outcomes


def main() -> None:
    """Run the study, and end with status 1 if a trial failed."""
    parser = ArgumentParser(description="Train variants of recipes with many seeds and folds.")
    parser.add_argument("study", type=Path, help="a file such as studies/fast.yaml")
    path = parser.parse_args().study
    with unchanged(PIPELINE, path.stem):
        outcomes = run_and_write(path)
    check(outcomes)
    Journal.of(path).remove()
    print((RESULTS / f"{path.stem}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    end_with_parent()
    run_command(main)
