import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("ray", reason="Ray comes with `make test-long`")

from digits.data.answers import ANSWERS, digests, write_answers
from digits.data.image_table import write_images
from digits.errors import InputError
from digits.evaluation.label_errors import read_suspects
from stages import prepare
from studies import labels
from studies.design import RESULTS
from studies.journal import Journal
from studies.trial import Rows
from tests.conftest import LABELS
from tests.sandbox import CLASSES, draw_images

STUDY = """\
variants:
  plain: {recipe: params.yaml, set: {train.epochs: 8}, seeds: 2}
folds: 3
test: false
"""
MISLABELLED = 40


@pytest.fixture
def study(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a study in a repository in which one label is wrong, and was published."""
    pixels, truth = draw_images(90)
    wrong = truth.copy()
    wrong[MISLABELLED] = (truth[MISLABELLED] + 1) % CLASSES
    write_images(Path("train.csv"), pixels, wrong)
    prepare.main()
    write_answers(ANSWERS, pixels, truth)
    labels.PUBLISHED.parent.mkdir()
    labels.PUBLISHED.write_text(f"set,index,given\ntrain,{MISLABELLED},{truth[MISLABELLED]}\n")
    path = Path("study.yaml")
    path.write_text(STUDY)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(sys, "argv", ["labels", str(path)])
    return path


@pytest.mark.long
def test_a_wrong_label_is_the_first_suspect(study: Path) -> None:
    labels.main()
    suspects = list(read_suspects(RESULTS / "study.csv", LABELS).values())
    pixels, truth = draw_images(90)
    first = suspects[0]
    assert first.sha256 == list(digests(pixels))[MISLABELLED]
    assert first.given == (truth[MISLABELLED] + 1) % CLASSES
    assert first.suggested == truth[MISLABELLED]
    assert first.given_probability < first.suggested_probability
    summary = json.loads(labels.METRICS.read_text())
    assert summary["published"] == summary["published_in_rows"] == 1
    assert summary["published_among_first_100"] == 1
    assert summary["published_ranks"] == [{"image": f"train {MISLABELLED}", "rank": 1}]
    assert 1 <= summary["out_of_fold_errors"] < 9
    assert not Path("study.journal").exists()


@pytest.mark.long
def test_a_training_that_fails_is_an_error_after_the_others(study: Path) -> None:
    study.write_text(
        STUDY.replace(
            "folds", "  fast: {recipe: params.yaml, set: {train.lr: 1e20}, seeds: 1}\nfolds"
        )
    )
    with pytest.raises(
        InputError, match=r"^variants\.fast, seed 0, fold 0: train\.lr: the loss is"
    ):
        labels.main()
    assert Journal.of(study).count() == 6
    assert not RESULTS.exists()
    assert not Path(os.environ["RAY_TMPDIR"]).exists()


def test_the_list_ends_where_the_label_is_the_likelier(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digested = list(digests(draw_images(5)[0]))
    shares = np.array([[0.6, 0.4], [0.3, 0.7], [0.5, 0.5], [0.5, 0.5], [0.9, 0.1]])
    write_labels(shares, [0, 0, 0, 1, 1], [0, 1, 0, 1, 0], digested)
    assert [*read_suspects(RESULTS / "study.csv", LABELS)] == [digested[4], digested[1]]
    assert capsys.readouterr().err == ""


def test_rows_of_a_class_that_only_one_fold_has_are_left_out(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digested = list(digests(draw_images(5)[0]))
    shares = np.array([[0.3, 0.7, 0], [0.6, 0.4, 0], [0.5, 0.5, 0], [0.9, 0.1, 0], [0.2, 0.8, 0]])
    write_labels(shares, [0, 0, 2, 2, 1], [0, 1, 1, 1, 0], digested)
    assert [*read_suspects(RESULTS / "study.csv", LABELS)] == [digested[0]]
    told = "warning: 3 rows of classes 1, 2 are left out: each lies in one fold alone\n"
    assert capsys.readouterr().err == told
    summary = json.loads(labels.METRICS.read_text())
    assert (summary["rows"], summary["out_of_fold_errors"]) == (2, 1)


def write_labels(
    shares: NDArray[np.float64], given: list[int], folds: list[int], digested: list[str]
) -> None:
    images = np.zeros((len(given), 16), np.float32)
    rows = Rows(images, np.array(given), CLASSES, np.array(folds), images[:0], np.array(given)[:0])
    labels.write_labels("study", shares, rows, digested)


def test_one_fold_is_refused(study: Path) -> None:
    study.write_text(STUDY.replace("folds: 3", "folds: 1"))
    with pytest.raises(InputError, match="folds = 1: most rows are never held out; expected 2 or"):
        labels.main()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("set,index,given\nother,1,0\n", "other"),
        ("set,index,given\ntrain,a,0\n", "invalid"),
        ("set,index,given\ntrain,1,1\ntrain,-1,1\n", "row 3: -1 of 2 images"),
        ("set,index,given\ntrain,2,1\n", "row 2: 2 of 2 images"),
        ("set,index,given\ntrain,1,0\n", "row 2: 0 for the label 1"),
        ("set,index,given\ntest,0,0\n", "range"),
        ("index\n1\n", "1 rows of"),
    ],
)
def test_a_list_of_published_errors_of_another_kind_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    monkeypatch.setattr(labels, "SETS", {"train": range(2), "test": range(2, 4)})
    path = tmp_path / "published.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"published\.csv: .*{message}.*; expected a table of"):
        labels.read_published(path, {"a": "0", "b": "1"})


def test_ranks_count_from_1_and_leave_out_what_is_not_in_the_rows() -> None:
    order = [f"{number}" for number in range(500)]
    published = {"test 1": "99", "test 2": "100", "train 3": "none", "train 4": "300"}
    summary = labels.summarise(order, 101, published)
    assert summary["published"] == 4
    assert summary["published_in_rows"] == 3
    assert summary["published_among_first_100"] == 1
    assert summary["published_among_errors"] == 2
    assert summary["published_ranks"] == [
        {"image": "test 1", "rank": 100},
        {"image": "test 2", "rank": 101},
        {"image": "train 4", "rank": 301},
    ]


def test_the_readme_tells_how_many_published_errors_are_found() -> None:
    root = Path(labels.__file__).parent.parent
    found = json.loads((root / labels.METRICS).read_text())
    readme = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    assert (
        f"{found['published_in_rows']} lie in these rows: "
        f"{found['published_among_first_100']} are among the first 100, "
        f"{found['published_among_errors']} among the {found['out_of_fold_errors']} that"
    ) in readme


def test_what_changes_while_labels_are_looked_for_is_named_and_the_journal_stays(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("studies").mkdir()
    Path("studies/dvc.yaml").write_text("stages: {study: {cmd: x, deps: [labels/published.csv]}}")
    Journal.of(study).folder.mkdir()
    monkeypatch.setattr(labels, "find_and_write", lambda _: labels.PUBLISHED.unlink())
    with pytest.raises(
        InputError, match=r"^labels/published.csv: not as when study began: nothing"
    ):
        labels.main()
    assert Journal.of(study).folder.exists()
