"""What the README says of changes and experiments, done with DVC in a copy of the project."""

import json
from collections.abc import Iterator

import pytest

from tests.sandbox import Proof, Sandbox
from tests.test_pipeline import edited, repro

pytestmark = pytest.mark.long


@pytest.fixture
def box(proof: Proof) -> Iterator[Sandbox]:
    """Yield a sandbox in which the pipeline has run, and put it back."""
    yield proof.box
    proof.box.run("git", "checkout", "--quiet", "--", ".")
    proof.box.run("dvc", "checkout", "--quiet")


def test_experiments_are_run_at_once_or_queued_shown_and_applied(box: Sandbox) -> None:
    box.run("dvc", "exp", "run", "--name", "slower", "--set-param", "train.lr=0.005")
    changed = json.loads(box.run("dvc", "params", "diff", "--json"))["params.yaml"]
    assert changed == {"train.lr": {"old": 0.01, "new": 0.005, "diff": -0.005}}
    box.run("dvc", "exp", "run", "--name", "short", "--queue", "--set-param", "train.epochs=1,2")
    assert box.run("dvc", "queue", "status").count("Queued") == 2
    box.run("dvc", "exp", "run", "--run-all")
    [_, commit] = json.loads(box.run("dvc", "exp", "show", "--json"))
    found = {
        experiment["name"]: experiment["revs"][0]["data"]["params"]["params.yaml"]["data"]["train"]
        for experiment in commit["experiments"]
    }
    expected = {"slower": (0.005, 5), "short-1": (0.005, 1), "short-2": (0.005, 2)}
    assert {name: (train["lr"], train["epochs"]) for name, train in found.items()} == expected
    box.run("dvc", "exp", "apply", "short-2")
    assert len((box.folder / "plots/training.csv").read_text().splitlines()) == 1 + 2


def test_the_learning_rate_reruns_training_and_what_follows(box: Sandbox) -> None:
    with edited(box, "params.yaml", "lr: 0.01\n", "lr: 0.02\n"):
        assert repro(box) == ["train", "evaluate", "predict", "score", "report"]
    # Of a stage with an output that is in Git, and no metric or plot, DVC keeps no run: the card.
    assert repro(box) == ["report"]
