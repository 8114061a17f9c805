"""labels: which labels are in doubt, by networks that were not trained on them.

    python -m studies.labels studies/labels.yaml

Trains the networks of a study, fold by fold, and ranks all labelled rows by how much likelier than
the label another class is to those that never saw it. Reads what studies.run reads,
data/mnist/answers.csv and studies/published.csv; writes data/suspects.csv, up to 100 images with a
likelier class, and metrics/labels.json, how many published label errors are among the first.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.data.answers import ANSWERS, digests, read_answers
from digits.data.classes import load_classes
from digits.data.csv_files import read_table
from digits.errors import InputError, run_command
from digits.evaluation.label_errors import SUSPECTS, Suspect, rank, write_suspects
from digits.files import write_json
from studies.design import load_study
from studies.run import conducted, parse_path
from studies.trial import Rows

METRICS, PUBLISHED = Path("metrics/labels.json"), Path("studies/published.csv")
LISTED = 100
SETS = {"train": range(60_000), "test": range(60_000, 70_000)}  # of MNIST's images


def read_published(path: Path, known: Mapping[str, str]) -> list[str]:
    """Return the digests of images whose labels, as a table gives them, are said to be wrong.

    `known` are the labels of MNIST's images by their digests, in its order.
    """
    digested, columns = list(known), {"set": str, "index": int, "given": str}
    table, found = read_table(path, columns, "a table of published label errors"), []
    for row, (name, index, given) in enumerate(table.itertuples(index=False, name=None), 2):
        found.append(digested[SETS[name][index]])
        if given != (label := known[found[-1]]):
            raise InputError(f"{path}: row {row}: given = {given}; expected the label {label}")
    return found


def summarise(order: Sequence[str], errors: int, published: Sequence[str]) -> dict[str, object]:
    """Return how many published label errors are among the first rows of an order of digests.

    Its first `errors` are those that the networks gave another class than their label.
    """
    ranks = {digest: number for number, digest in enumerate(order, start=1)}
    lying = [ranks[digest] for digest in published if digest in ranks]
    return {
        "rows": len(order),
        "out_of_fold_errors": errors,
        "published": len(published),
        "published_in_rows": len(lying),
        f"published_among_first_{LISTED}": sum(rank <= LISTED for rank in lying),
        "published_among_errors": sum(rank <= errors for rank in lying),
    }


def write_labels(rows: Rows, shares: NDArray[np.float64]) -> None:
    """Write the most doubtful images, by out-of-fold probabilities, and what is known of them."""
    order, suggested = rank(shares, rows.labels)
    digested = list(digests(rows.pixels))
    numbers = np.arange(len(order))
    given, other = shares[numbers, rows.labels], shares[numbers, suggested]
    columns = [column.tolist() for column in (rows.labels, suggested, given, other)]
    table = list(zip(digested, *columns, strict=True))
    suspects = [Suspect(*table[row]) for row in order.tolist()]
    doubted = [one for one in suspects if one.suggested_probability > one.given_probability]
    write_suspects(SUSPECTS, doubted[:LISTED], load_classes())
    errors = int((shares.argmax(axis=1) != rows.labels).sum())
    published = read_published(PUBLISHED, read_answers(ANSWERS))
    write_json(METRICS, summarise([one.sha256 for one in suspects], errors, published))


def main() -> None:
    """Find the labels that are in doubt."""
    path = parse_path("Find labels that are in doubt.")
    if load_study(path).folds == 1:
        raise InputError(f"{path}: folds = 1: most rows are never held out; expected 2 or more")
    with conducted(path) as (study, rows, judged):
        mean = np.zeros((len(rows.labels), rows.classes))
        for trial, (_, shares) in judged.items():
            mean[rows.folds == trial.fold] += shares / (len(judged) / study.folds)
        write_labels(rows, mean)
    print(METRICS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run_command(main)
