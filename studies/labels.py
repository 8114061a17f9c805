"""labels: which labels are in doubt, by networks that were not trained on them.

    python -m studies.labels studies/labels.yaml

Trains the networks of a study, fold by fold, and ranks all labelled rows by how much likelier than
the label another class is to those that never saw it. Reads data/prepared, params.yaml, the
recipes, data/mnist/answers.csv and labels/published.csv; writes studies/results/NAME.csv, up to 100
images with a likelier class, and metrics/labels.json, how many published ones are among the first.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.data.answers import ANSWERS, digests, read_answers
from digits.data.classes import load_classes
from digits.data.csv_files import read_table
from digits.data.tensors import PREPARED, Statistics
from digits.errors import InputError, expecting, run_command
from digits.evaluation.label_errors import Suspect, rank, write_suspects
from digits.files import write_json
from digits.params import Params, load_params
from digits.process import alone, end_with_parent
from stages._inputs import unchanged
from studies.cluster import cluster
from studies.design import PIPELINE, RESULTS, Study, load_study
from studies.journal import Journal
from studies.run import load_rows, load_variants, train_all
from studies.summary import check
from studies.trial import Rows, answer

METRICS = Path("metrics/labels.json")
PUBLISHED = Path("labels/published.csv")
SUSPECTS = 100
SETS = {"train": range(60_000), "test": range(60_000, 70_000)}  # of MNIST's images


def answer_out_of_fold(
    study: Study, variants: Mapping[str, Params], rows: Rows, journal: Journal
) -> NDArray[np.float64]:
    """Return the mean probabilities of the networks that did not see a row, shape (rows, classes).

    Raises:
        InputError: with one fold, some rows are held out by none; or a training has failed.
    """
    if study.folds == 1:
        raise InputError("folds = 1: most rows are never held out; expected 2 or more")
    total, count = (
        np.zeros((len(rows.labels), rows.classes)),
        len(list(study.trials())) / study.folds,
    )
    with cluster(rows) as machines:
        trained, failed = train_all(machines, study, variants, rows, journal)
        answers = check({**failed, **dict(machines.run(answer, trained))})
    # In the order of the trials, however they ended: sums of floats depend on it.
    for trial in trained:
        total[rows.folds == trial.fold] += answers[trial] / count
    return total


def read_published(path: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of the label errors that people have published, by set and number.

    Args:
        path: a table of the columns set, index and given, the label in doubt.
        known: the labels of MNIST's images by their digests, in its order.

    Raises:
        InputError: there is no such file, or a row names no image, or another label than it has.
    """
    digested, expected = list(known), "a table of published label errors"
    table = read_table(path, {"set": str, "index": int, "given": str}, expected)
    found = {}
    with expecting(path, expected, ValueError, LookupError):
        for number, name, index, given in table.itertuples(name=None):
            images = SETS[name]
            if not 0 <= index < len(images):
                raise ValueError(f"row {number + 2}: {index} of {len(images)} images")
            digest = digested[images[index]]
            if known[digest] != given:
                raise ValueError(f"row {number + 2}: {given} for the label {known[digest]}")
            found[f"{name} {index}"] = digest
    return found


def summarise(order: Sequence[str], errors: int, published: Mapping[str, str]) -> dict[str, object]:
    """Return how many published errors are found, for `dvc metrics diff`, and their ranks, from 1.

    DVC compares numbers by name, and leaves out lists: the ranks are for people.

    Args:
        order: digests of the rows that were ranked, the most doubtful first.
        errors: how many of them the networks gave another class than their label, out of fold:
            just the first ones.
        published: digests, by name.
    """
    ranks = {digest: number for number, digest in enumerate(order, start=1)}
    lying = {name: ranks[digest] for name, digest in published.items() if digest in ranks}
    return {
        "rows": len(order),
        "out_of_fold_errors": errors,
        "published": len(published),
        "published_in_rows": len(lying),
        f"published_among_first_{SUSPECTS}": sum(one <= SUSPECTS for one in lying.values()),
        "published_among_errors": sum(one <= errors for one in lying.values()),
        "published_ranks": [
            {"image": name, "rank": number}
            for name, number in sorted(lying.items(), key=lambda item: item[1])
        ],
    }


def find_unseen(rows: Rows) -> NDArray[np.bool_]:
    """Return which rows lie in the only fold of their class, shape (rows,), and warn of them.

    The networks that answer them were trained on no row of that class.
    """
    pairs = np.unique([rows.labels, rows.folds], axis=1)
    unseen: NDArray[np.bool_] = np.bincount(pairs[0])[rows.labels] == 1
    if unseen.any():
        labels = ", ".join(np.array(load_classes())[np.unique(rows.labels[unseen])])
        where = f"{unseen.sum()} rows of classes {labels}"
        print(f"warning: {where} are left out: each lies in one fold alone", file=sys.stderr)
    return unseen


def write_labels(name: str, shares: NDArray[np.float64], rows: Rows, digested: list[str]) -> None:
    """Write the most doubtful images, and what is known of them.

    Args:
        name: of the study.
        shares: out-of-fold probabilities, shape (rows, classes).
        rows: the labelled ones.
        digested: the digest of each row.
    """
    order, suggested = rank(shares, rows.labels)
    order = order[~find_unseen(rows)[order]]
    suspects = [
        Suspect(
            digested[row],
            int(rows.labels[row]),
            int(suggested[row]),
            float(shares[row, rows.labels[row]]),
            float(shares[row, suggested[row]]),
        )
        for row in order[:SUSPECTS].tolist()
        if shares[row, suggested[row]] > shares[row, rows.labels[row]]
    ]
    write_suspects(RESULTS / f"{name}.csv", suspects, load_classes())
    errors = int((shares[order].argmax(axis=1) != rows.labels[order]).sum())
    published = read_published(PUBLISHED, read_answers(ANSWERS))
    ranked = [digested[row] for row in order.tolist()]
    write_json(METRICS, summarise(ranked, errors, published))


def find_and_write(path: Path) -> None:
    """Train the networks of the study in a file, rank the labels, and write what is in doubt."""
    study, prepared = load_study(path), load_params()
    variants, journal = load_variants(study, prepared), Journal.of(path)
    statistics = Statistics.load(PREPARED / "statistics.json")
    journal.folder.mkdir(parents=True, exist_ok=True)
    with alone(journal.folder):
        rows = load_rows(prepared, study)
        shares = answer_out_of_fold(study, variants, rows, journal)
        write_labels(path.stem, shares, rows, list(digests(statistics.restore(rows.images))))


def main() -> None:
    """Find the labels that are in doubt."""
    parser = ArgumentParser(description="Find labels that are in doubt.")
    parser.add_argument("study", type=Path, help="a file such as studies/labels.yaml")
    path = parser.parse_args().study
    with unchanged(PIPELINE, path.stem):
        find_and_write(path)
    Journal.of(path).remove()
    print(METRICS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    end_with_parent()
    run_command(main)
