import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from digits.data.answers import write_answers
from digits.data.image_table import write_images
from digits.errors import InputError, run_command
from digits.network.model import MODEL
from digits.params import Params
from stages import train
from studies.design import load_study
from studies.journal import Journal
from studies.trial import Rows, train_network
from tests.sandbox import ROOT, draw_images
from tools.repository import git

pytest.importorskip("ray", reason="Ray comes with `make test-long`")
from studies import run, table

STUDY = """\
variants:
  plain: {recipe: params.yaml, seeds: 2}
  pair: {recipe: params.yaml, set: {train.networks: 2}, seeds: 1}
  fast: {recipe: params.yaml, set: {train.lr: 0.2}, seeds: 1}
folds: 2
test: false
"""


class OneAfterTheOther:
    """Stands in for a cluster: runs tasks in this process, the last first."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.trained = 0

    def run(
        self, function: Callable[..., Any], tasks: Mapping[Any, tuple[Any, ...]]
    ) -> Iterator[tuple[Any, Any]]:
        for key, arguments in reversed(list(tasks.items())):
            self.trained += function is train_network
            try:
                yield key, function(*arguments, self.rows)
            except InputError as error:
                yield key, error


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> list[OneAfterTheOther]:
    """Return a list of all stand-ins for clusters that come to be used."""
    used: list[OneAfterTheOther] = []

    @contextmanager
    def cluster(rows: Rows) -> Iterator[OneAfterTheOther]:
        used.append(OneAfterTheOther(rows))
        yield used[-1]

    monkeypatch.setattr(run, "cluster", cluster)
    return used


@pytest.fixture
def study(
    repository: Path, clusters: list[OneAfterTheOther], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return a study's file in a repository with prepared data, to be run without Ray."""
    path = Path("study.yaml")
    path.write_text(STUDY)
    monkeypatch.setattr(sys, "argv", ["run", str(path)])
    return path


def read_results() -> list[dict[str, str]]:
    with Path("studies/results/study.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_trial_is_a_row_that_says_where_it_comes_from(
    study: Path, clusters: list[OneAfterTheOther]
) -> None:
    run.main()
    rows = read_results()
    names = [(row["variant"], row["seed"], row["fold"]) for row in rows]
    trials = [("plain", "0"), ("plain", "1"), ("pair", "0"), ("fast", "0")]
    assert names == [(*trial, fold) for trial in trials for fold in "01"]
    assert {row["recipe"] for row in rows} == {"params.yaml"}
    assert {row["commit"] for row in rows} == {git("rev-parse", "HEAD").decode().strip()}
    assert len({row["data"] for row in rows}) == 1
    assert len({row["network"] for row in rows}) == 8
    assert {row["rows"] for row in rows} == {"45"}
    assert [cluster.trained for cluster in clusters] == [6]
    summary = json.loads(Path("studies/results/study.json").read_text())
    assert [found["trials"] for found in summary.values()] == [4, 2, 2]
    assert Path("studies/results/study.png").exists()
    assert not Path("study.journal").exists()


def test_with_one_fold_a_trial_is_what_the_stage_trains(
    study: Path, write_params: Callable[[dict[str, Any]], None]
) -> None:
    study.write_text(STUDY.replace("folds: 2", "folds: 1"))
    run.main()
    networks = {(row["variant"], row["seed"]): row["network"] for row in read_results()}
    for networks_trained, trial in ((1, ("plain", "0")), (2, ("pair", "0"))):
        write_params({"train.networks": networks_trained})
        train.main()
        assert networks[trial] == hashlib.sha256(MODEL.read_bytes()).hexdigest()


def read_summary() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("studies/results/study.json").read_text())
    return found


def test_where_a_training_fails_the_others_go_on(
    study: Path, clusters: list[OneAfterTheOther], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.main()
    whole, rows = read_summary(), read_results()
    study.write_text(STUDY.replace("train.lr: 0.2", "train.lr: 1e20"))
    with pytest.raises(
        InputError, match=r"^variants\.fast, seed 0, fold 0: train\.lr: the loss is "
    ):
        run.main()
    summary = read_summary()
    assert list(summary) == ["plain", "pair", "fast"]
    assert (summary["plain"], summary["pair"]) == (whole["plain"], whole["pair"])
    assert summary["fast"].keys() == {"trials", "failed"}
    assert summary["fast"]["trials"] == 0
    assert [(one["seed"], one["fold"]) for one in summary["fast"]["failed"]] == [(0, 0), (0, 1)]
    assert all("\n" not in one["reason"] for one in summary["fast"]["failed"])
    assert [row["network"] for row in read_results()] == [row["network"] for row in rows[:6]]
    study.write_text(STUDY)
    run.main()
    assert [cluster.trained for cluster in clusters] == [6, 6, 2]
    assert read_summary() == whole
    assert not Path("study.journal").exists()


def test_a_trial_fails_with_any_of_its_networks(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(params: Params, fold: int, rows: Rows) -> Any:
        if (params.train.seed, fold) == (1, 0):
            raise InputError("params.yaml: train.lr: the loss is nan")
        return train_network(params, fold, rows)

    monkeypatch.setattr(run, "train_network", fail)
    with pytest.raises(SystemExit, match=r"seed 1, fold 0: .*nan \(2 of 8 trials failed\)$"):
        run_command(run.main)
    trials = {name: found["trials"] for name, found in read_summary().items()}
    assert trials == {"plain": 3, "pair": 1, "fast": 2}
    reason = "train.lr: the loss is nan"
    assert read_summary()["plain"]["failed"] == [{"seed": 1, "fold": 0, "reason": reason}]
    assert read_summary()["pair"]["failed"] == [{"seed": 0, "fold": 0, "reason": reason}]
    assert read_summary()["pair"]["difference"]["pairs"] == 1


def test_a_study_of_which_everything_fails_says_so(study: Path) -> None:
    study.write_text(
        STUDY.replace("seeds", "set: {train.lr: 1e20}, seeds", 1).replace("0.2", "1e20")
    )
    with pytest.raises(InputError, match=r"6 of 8 trials failed"):
        run.main()
    assert read_summary()["pair"].keys() == {"trials", "accuracy"}
    study.write_text(
        STUDY.splitlines()[0] + "\n  fast: {recipe: params.yaml, seeds: 1, "
        "set: {train.lr: 1e20}}\nfolds: 1\ntest: false\n"
    )
    with pytest.raises(InputError, match=r"1 of 1 trials failed"):
        run.main()
    assert [found["trials"] for found in read_summary().values()] == [0]
    assert read_results() == []
    for suffix in ("json", "csv"):
        Path(f"studies/results/study.{suffix}").rename(f"studies/results/recipes.{suffix}")
    with pytest.raises(InputError, match=r"'accuracy'; expected what studies.run writes of trials"):
        table.make_table(Path("studies/results"))


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_what_is_damaged_of_a_journal_is_trained_again_and_nothing_else(
    study: Path,
    clusters: list[OneAfterTheOther],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    suffix: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", lambda _: None)
        run.main()
    [damaged, *_] = sorted(Path("study.journal").glob("*.json"))
    damaged = damaged.with_suffix(suffix)
    damaged.write_bytes(damaged.read_bytes()[:-9])
    run.main()
    told = capsys.readouterr()
    assert "5 of 6 trainings were done before" in told.out
    assert told.err.count("\n") == 1
    assert told.err.startswith(f"warning: {damaged}: ")
    assert clusters[-1].trained == 1
    assert len(read_results()) == 8


def test_a_study_that_was_stopped_goes_on_with_what_is_missing(
    study: Path,
    clusters: list[OneAfterTheOther],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run.main()
    quiet = Path("studies/results/study.json").read_text()

    def stop_after_three(params: Any, fold: int, rows: Rows) -> Any:
        if clusters[-1].trained == 3:
            raise KeyboardInterrupt
        clusters[-1].trained += 1
        return train_network(params, fold, rows)

    with monkeypatch.context() as patch:
        patch.setattr(run, "train_network", stop_after_three)
        with pytest.raises(KeyboardInterrupt):
            run.main()
    run.main()
    assert "3 of 6 trainings were done before" in capsys.readouterr().out
    assert [cluster.trained for cluster in clusters] == [6, 3, 3]
    assert Path("studies/results/study.json").read_text() == quiet


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "data.train: other.csv",
            "data.train = 'other.csv'; expected 'train.csv', which data/prep",
        ),
        ("prepare.seed: 4", "prepare.seed = 4; expected 0, which data/prepared was made with"),
        ("train.rows: all", "train.rows = 'all' holds no row out; expected 'train'"),
        ("train.device: cpu", "params.yaml: train.device is not a parameter"),
        ("train.lr: fast", "params.yaml: train.lr = 'fast': expected a valid number"),
    ],
)
def test_a_variant_that_cannot_be_used_is_named(study: Path, change: str, message: str) -> None:
    study.write_text(STUDY.replace("train.lr: 0.2", change))
    with pytest.raises(InputError, match=f"^variants.fast: {message}"):
        run.main()


def test_the_test_images_are_looked_at_where_the_study_says_so(study: Path) -> None:
    write_answers(Path("data/mnist/answers.csv"), *draw_images(12, seed=1))
    study.write_text(STUDY.replace("test: false", "test: true"))
    run.main()
    assert {row["test_rows"] for row in read_results()} == {"12"}
    write_images(Path("test.csv"), draw_images(9, seed=1)[0])
    with pytest.raises(InputError, match=r"test\.csv: 9 images; expected the 12 in data/prepared"):
        run.main()


def test_a_row_of_changed_code_says_so(study: Path) -> None:
    Path("studies").mkdir()
    for name in ("dvc.lock", "another.yaml"):
        Path("studies", name).touch()
    assert not run.find_code()[40:]
    Path("digits").mkdir()
    Path("digits/new.py").touch()
    run.main()
    assert {row["commit"][40:] for row in read_results()} == {"-dirty"}


LISTED = "stages: {study: {cmd: x, deps: [study.yaml], params: [train.seed], outs: [x]}}"


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("params.yaml", "seed: 0", "seed: 1", r"params.yaml: train.seed = 1, and 0 when study beg"),
        ("study.yaml", "seeds: 2", "seeds: 3", r"study.yaml: not as when study began: noth"),
        ("digits/code.py", "old", "new", r"study.yaml: code was changed while it ran; expected it"),
    ],
)
def test_what_changes_while_a_study_runs_is_named_and_its_journal_stays(
    study: Path, monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str, line: str
) -> None:
    for path, text in (("studies/dvc.yaml", LISTED), ("digits/code.py", "old")):
        Path(path).parent.mkdir()
        Path(path).write_text(text)
    git("add", "digits")
    loaded = run.load_rows

    def change_and_load(*arguments: Any) -> Rows:
        Path(name).write_text(Path(name).read_text().replace(old, new))
        return loaded(*arguments)

    monkeypatch.setattr(run, "load_rows", change_and_load)
    with pytest.raises(InputError, match=rf"^{line}"):
        run.main()
    assert (Journal.of(study).count() > 0) is (name != "digits/code.py")


STAGES: dict[str, Any] = YAML(typ="safe").load(ROOT / "studies" / "dvc.yaml")["stages"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_recipes_of_its_study(name: str) -> None:
    stage, path = STAGES[name], f"studies/{name}.yaml"
    recipes = [variant.recipe for variant in load_study(ROOT / path).variants.values()]
    sections = ["predict", "train"]
    assert [*stage["params"]] == [{recipe: sections} for recipe in recipes]
    program = "labels" if name == "labels" else "run"
    assert stage["cmd"] == f"exec env STAGE_PARENT=$PPID python -m studies.{program} {path}"
    assert path in stage["deps"]


@pytest.mark.parametrize("name", sorted(STAGES.keys() - {"labels"}))
def test_what_a_study_finds_is_in_git(name: str) -> None:
    outs = [next(iter(out.items())) for kind in ("outs", "plots") for out in STAGES[name][kind]]
    names = [f"studies/results/{name}.{suffix}" for suffix in ("csv", "json", "png")]
    assert outs == [(path, {"cache": False}) for path in names]
