import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from digits.data.answers import write_answers
from digits.data.image_table import write_images
from digits.errors import InputError
from digits.network.model import MODEL
from digits.params import load_yaml
from stages import evaluate, train
from studies.design import load_study
from studies.trial import Rows, train_network
from tests.conftest import ParamsWriter
from tests.sandbox import CLASSES, ROOT, draw_images
from tests.studies.conftest import OneAfterTheOther
from tools.project import git

pytest.importorskip("ray", reason="the extra studies")
from studies import run

STUDY = """\
variants:
  plain: {recipe: params.yaml, seeds: 2}
  pair: {recipe: params.yaml, set: {train.networks: 2}, seeds: 1}
  fast: {recipe: params.yaml, set: {train.lr: 0.2}, seeds: 1}
folds: 2
test: false
"""
SUMMARY = Path("studies/results/study.json")
JOURNAL = Path("study.journal")


@pytest.fixture
def study(clusters: list[OneAfterTheOther]) -> Path:
    """Return a study's file in a repository with prepared data, to be run without Ray."""
    path = Path("study.yaml")
    path.write_text(STUDY)
    return path


def read_results() -> list[dict[str, str]]:
    with SUMMARY.with_suffix(".csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_trial_is_a_row_that_says_where_it_comes_from(
    study: Path, clusters: list[OneAfterTheOther]
) -> None:
    study.write_text(STUDY.replace("train.lr: 0.2", "train.lr: 1e-3"))
    run.main()
    rows = read_results()
    names = [(row["variant"], row["seed"], row["fold"]) for row in rows]
    trials = [("plain", "0"), ("plain", "1"), ("pair", "0"), ("fast", "0")]
    assert names == [(*trial, fold) for trial in trials for fold in "01"]
    head = git("rev-parse", "HEAD").decode().strip()
    told = {(row["recipe"], row["commit"], row["data"], row["rows"]) for row in rows}
    assert told == {("params.yaml", head, rows[0]["data"], "45")}
    assert len({row["network"] for row in rows}) == 8
    assert [cluster.trained for cluster in clusters] == [6]  # a pair are the two seeds of plain
    found = json.loads(SUMMARY.read_text())
    assert [one["trials"] for one in found.values()] == [4, 2, 2]
    errors = [sum(int(row["errors"]) for row in rows[start : start + 2]) for start in (4, 6)]
    difference = found["fast"]["difference"]  # from pair, on all rows
    assert difference["from"] == "pair"
    assert difference["fixed"] - difference["broken"] == errors[0] - errors[1]
    assert difference["fixed"] + difference["broken"] > 0
    assert SUMMARY.with_suffix(".png").exists()
    assert not JOURNAL.exists()


def test_with_one_fold_a_trial_is_what_the_stages_find(
    study: Path, write_params: ParamsWriter
) -> None:
    common = {"train.epochs": 1, "train.lr": 0.02, "predict.shear": 0.1}
    write_params(common)
    whole = "  whole: {recipe: params.yaml, set: {train.rows: all}, seeds: 1}\nfolds: 1"
    study.write_text(STUDY.replace("folds: 2", whole))
    Path("digits").mkdir()
    Path("digits/new.py").touch()
    run.main()
    results = {(row["variant"], row["seed"]): row for row in read_results()}
    assert {row["commit"][40:] for row in results.values()} == {"-dirty"}  # of new code
    for changes, trial in (({}, ("plain", "0")), ({"train.networks": 2}, ("pair", "0"))):
        write_params(common | changes)
        train.main()
        evaluate.main()
        evaluation = json.loads(Path("metrics/evaluation.json").read_text())
        found = results[trial]
        assert found["network"] == hashlib.sha256(MODEL.read_bytes()).hexdigest()
        assert (int(found["rows"]), int(found["errors"])) == (30, evaluation["errors"])
        assert float(found["negative_log_likelihood"]) == evaluation["negative_log_likelihood"]
        assert (found["test_rows"], found["test_errors"]) == ("0", "0")
    write_params(common | {"train.rows": "all"})
    train.main()
    found = results["whole", "0"]
    assert found["network"] == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert (found["rows"], found["negative_log_likelihood"]) == ("0", "")
    assert "accuracy" not in json.loads(SUMMARY.read_text())["whole"]


def test_a_study_in_which_a_training_failed_goes_on_with_what_is_missing(
    study: Path, clusters: list[OneAfterTheOther], capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(STUDY.replace("train.lr: 0.2", "train.lr: 1e20"))
    failed = r"^variants\.fast, seed 0, fold 0: train\.lr: the loss .*\(2 of 6 trainings failed\)$"
    with pytest.raises(InputError, match=failed):
        run.main()
    assert not SUMMARY.exists()
    study.write_text(STUDY)
    capsys.readouterr()
    run.main()
    assert capsys.readouterr().out.startswith("trainings: 5 of 6\ntrainings: 6 of 6\n{")
    found = SUMMARY.read_text()
    run.main()
    assert SUMMARY.read_text() == found
    assert [cluster.trained for cluster in clusters] == [6, 2, 6]


def test_all_that_decides_a_training_decides_its_name(study: Path) -> None:
    def names(old: str = "", new: str = "", **changes: Any) -> set[str]:
        study.write_text(STUDY.replace(old, new))
        read = load_study(study)
        plans = run.plan(read, Rows(**{**vars(run.load_rows(read)), **changes}))
        return {name for own in plans.values() for name in own}

    first = names()
    assert len(first) == 6
    assert names("networks: 2}", "networks: 2, predict.shift: 1.0}") == first
    assert names("train.lr: 0.2", "prepare.straighten: true") - first
    assert names("lr: 0.2", "momentum: 0.5") - first
    pixels = run.load_rows(load_study(study)).pixels + 1
    for others in (names("folds: 2", "folds: 3"), names(pixels=pixels)):
        assert not others & first


def test_the_test_images_are_looked_at_where_the_study_says_so(study: Path) -> None:
    pixels, truth = draw_images(12, seed=1)
    truth[5] = (truth[5] + 1) % CLASSES
    write_answers(Path("data/mnist/answers.csv"), pixels[:11], truth[:11])
    longer = STUDY.replace("yaml, seeds: 2", "yaml, set: {train.epochs: 10}, seeds: 2")
    study.write_text(longer.replace("test: false", "test: true"))
    run.main()
    assert {row["test_rows"] for row in read_results()} == {"11"}
    assert read_results()[0]["test_errors"] == "1"
    write_images(Path("test.csv"), draw_images(9, seed=1)[0])
    with pytest.raises(InputError, match=r"test\.csv: 9 images; expected the 12 in data/prepared"):
        run.main()


@pytest.mark.parametrize("name", ["study.yaml", "recipes/own.yaml", "digits/code.py"])
def test_what_is_edited_while_a_study_runs_is_an_error_and_the_journal_stays_unless_it_is_code(
    study: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).touch()
    git("add", name)

    def edit_and_train(*arguments: Any) -> Any:
        Path(name).write_text("# edited")
        return train_network(*arguments)

    monkeypatch.setattr(run, "train_network", edit_and_train)
    with pytest.raises(InputError, match=r"^study.yaml: code or recipes were edited while it ran"):
        run.main()
    assert JOURNAL.exists() is (name != "digits/code.py")
    assert not SUMMARY.exists()


STAGES: dict[str, Any] = load_yaml(ROOT / "studies" / "dvc.yaml", "stages")["stages"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_its_study_and_recipes_and_has_its_results_in_git(name: str) -> None:
    stage, path = STAGES[name], f"studies/{name}.yaml"
    study = load_study(ROOT / path)
    recipes = {variant.recipe for variant in study.variants.values()}
    found = {dep for dep in stage["deps"] if dep.startswith("recipes/")}
    assert found == recipes | {"recipes/one_cycle.yaml"}
    assert path in stage["deps"]
    program = "labels" if name == "labels" else "run"
    assert stage["cmd"] == f"python -E -m studies.{program} {path}"
    outs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    names = [f"studies/results/{name}.{suffix}" for suffix in ("csv", "json", "png")]
    names = ["metrics/labels.json"] if name == "labels" else names
    assert outs == [{path: {"cache": False}} for path in names]
