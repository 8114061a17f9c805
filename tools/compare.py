"""compare: which networks of several revisions are better than the first, or only luckier.

Reads plots/confusion.csv of each: what its network made of every validation row. All must be of the
same rows, and trained on none of them, as dvc.lock tells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.classes import sort_classes
from digits.data.csv_files import read_table
from digits.errors import InputError
from digits.evaluation.comparison import compare
from digits.params import PARAMS, leaves, load_yaml
from tools.project import JUDGED, WORKING_TREE, files_of, read_recorded

PREDICTIONS = Path("plots/confusion.csv")
COLUMNS = ["actual", "predicted"]
WRITTEN = "what evaluate writes: the names of two classes in each row"
STYLES = {"text": "simple", "markdown": "pipe"}  # as tabulate calls them


@dataclass(frozen=True)
class Predicted:
    """Names of classes, both of shape (rows,), by a revision's network and in truth.

    `params` are all of the revision's, by keys like "train.lr"; `origin` is what the rows were
    drawn from, and how; `held_out` whether none was trained on.
    """

    name: str
    params: Mapping[str, object]
    origin: object
    held_out: bool
    actual: NDArray[np.str_]
    predicted: NDArray[np.str_]

    @property
    def accuracy(self) -> float:
        """The share of right rows, from 0 to 1."""
        return float((self.actual == self.predicted).mean())


def read_predictions(name: str) -> Predicted:
    """Read the predictions of a revision, or of the working tree."""
    with files_of(name) as folder:
        columns = dict.fromkeys(COLUMNS, str)
        table = read_table(folder / PREDICTIONS, columns, WRITTEN, f"{name}:{PREDICTIONS}")
        stages = read_recorded(folder, name, JUDGED)["stages"]
        params = dict(leaves("", load_yaml(folder / PARAMS, "the parameters", f"{name}:{PARAMS}")))
    params_then = dict(leaves("", _params(stages, "evaluate")))  # of commits before, some alone
    held_out = params_then.get("train.rows", "train") == "train"
    actual, predicted = (table[column].to_numpy(np.str_) for column in COLUMNS)
    return Predicted(name, params, _origin(stages), held_out, actual, predicted)


def _origin(stages: Mapping[str, Any]) -> object:
    """Return the hash of the labelled images, and the params of the split.

    The hash of the validation rows themselves would change with the form in which they are stored.
    """
    params = _params(stages, "prepare")
    train = dict(leaves("", params)).get("data.train")  # commits before listed the section `data`
    dependencies = stages.get("prepare", {}).get("deps", [])
    hashes = [one["md5"] for one in dependencies if one["path"] == train]
    # What is done to their pixels does not count, and how many they are is seen.
    return hashes, {**params.get("prepare", {}), "straighten": None, "validation": None}


def _params(stages: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """Return the params that a stage ran with, by dvc.lock."""
    found: dict[str, Any] = stages.get(stage, {}).get("params", {}).get(str(PARAMS), {})
    return found


def check_same_rows(before: Predicted, after: Predicted) -> None:
    """Raise an InputError unless both are of the same images and labels, and trained on none."""
    rows, others = len(after.actual), len(before.actual)
    if rows != others:
        told = f"{rows:,} validation rows, and {others:,} in {before.name}; expected the same rows"
        raise InputError(f"{after.name}: {told}")
    if before.origin != after.origin or (before.actual != after.actual).any():
        expected = "expected the same split of the same data, and classes named alike"
        raise InputError(f"{after.name}: other validation rows than in {before.name}; {expected}")
    for one in (before, after):
        if not one.held_out:
            told = "train.rows = 'all': trained on its validation rows; expected them held out"
            raise InputError(f"{one.name}: {told}")


def rank(networks: Sequence[Predicted]) -> pd.DataFrame:
    """Return a row for each network, the most accurate first, beside how it differs from the first.

    Of the params that all know, it has those that differ. The intervals hold all together.
    """
    first, *others = networks
    keys = [key for key in first.params if all(key in one.params for one in others)]
    rows = []
    for one in sorted(networks, key=lambda network: -network.accuracy):
        params = {key: str(one.params[key]) for key in keys}
        row = {"network": one.name, **params, "validation accuracy": f"{one.accuracy:.4f}"}
        if one is not first:
            found = compare(one.actual, first.predicted, one.predicted)
            numbers = (found.difference, *found.interval(len(others)))
            shown = [f"{number:+.4f}" for number in numbers]
            row |= zip(("difference", "at least", "at most"), shown, strict=True)
            row["verdict"] = found.verdict(len(others))
        rows.append(row)
    board = pd.DataFrame(rows).fillna("")
    return board.drop(columns=[key for key in keys if board[key].nunique() == 1])


def count_changes(before: Predicted, after: Predicted) -> pd.DataFrame:
    """Return, for each class and for all, how many rows there are, and were fixed and broken."""
    was, now = (one.predicted != one.actual for one in (before, after))
    columns = {"rows": True, "errors before": was, "after": now}
    table = pd.DataFrame({**columns, "fixed": was & ~now, "broken": now & ~was})
    sums = table.groupby(after.actual).sum().loc[list(sort_classes(set(after.actual.tolist())))]
    return pd.concat([sums, table.sum().to_frame("all").T]).rename_axis("class").reset_index()


def main(revisions: Sequence[str], form: str) -> None:
    """Print how the networks of revisions compare with the first; of one, with the working tree."""
    names = [*(revisions or ["HEAD"]), *([WORKING_TREE] if len(revisions) < 2 else [])]
    networks = [read_predictions(name) for name in names]
    for other in networks[1:]:
        check_same_rows(networks[0], other)
    board = rank(networks)
    if form == "csv":
        print(board.to_csv(index=False), end="")
        return
    if form == "text" and len(networks) == 2:
        print(count_changes(*networks).to_string(index=False), end="\n\n")
    print(board.to_markdown(index=False, disable_numparse=True, tablefmt=STYLES[form]))
    told = f"Against {names[0]}, on {len(networks[0].actual):,} validation rows"
    how = "all intervals together hold at 95 % (Bonferroni); better and worse exclude 0"
    print(f"\n{told}: {how}.")
