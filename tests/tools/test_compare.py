from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digits.data.csv_files import write_table
from digits.errors import InputError
from tools import compare
from tools.project import git

Runner = Callable[..., str]
ACTUAL = np.arange(200) % 4
LOCK = """stages:
  prepare:
    deps:
    - path: train.csv
      md5: {0:a>32}
    params:
      params.yaml:
        data: {{train: train.csv}}
        prepare: {{validation: 200, seed: {1}}}
"""
PARAMS = """data: {{train: train.csv}}
prepare: {{validation: 200, seed: {}}}
train: {{rows: {}, lr: {}}}
"""


def write(wrong: slice, actual: list[int] | None = None) -> None:
    """Write answers that are wrong in those rows."""
    predicted = ACTUAL.copy()
    predicted[wrong] = (predicted[wrong] + 1) % 4
    rows = zip(actual or ACTUAL.tolist(), predicted.tolist(), strict=False)
    write_table(compare.PREDICTIONS, pd.DataFrame(rows, columns=compare.COLUMNS))


def record(images: str, seed: int, more: str = "", rows: str = "train", lr: float = 0.1) -> None:
    """Write params, and a dvc.lock that tells of them."""
    Path("dvc.lock").write_text(LOCK.format(images, seed) + more)
    Path("params.yaml").write_text(PARAMS.format(seed, rows, lr))


def commit() -> None:
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "Answer")


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Runner:
    """Go to a repository with a commit of 20 wrong answers; return what runs the comparison."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    record("a", 0)
    write(slice(0, 20))
    commit()

    def compared(*revisions: str, form: str = "text") -> str:
        compare.main(revisions, form)
        return capsys.readouterr().out

    return compared


def test_two_networks_are_held_against_each_other_class_by_class(run: Runner) -> None:
    write(slice(10, 22))
    assert run() == run("HEAD") == run("HEAD", "workspace")
    told = run("HEAD").splitlines()
    assert told[0].split() == ["class", "rows", "errors", "before", "after", "fixed", "broken"]
    assert told[1].split() == ["0", "50", "5", "3", "3", "1"]
    assert told[5].split() == ["all", "200", "20", "12", "10", "2"]
    assert told[9].split() == ["workspace", "0.9400", "+0.0400", "+0.0045", "+0.0803", "better"]
    assert told[10].split() == ["HEAD", "0.9000"]
    assert told[12].startswith("Against HEAD, on 200 validation rows: all intervals together")


def test_of_many_the_best_is_first_and_what_is_better_alone_may_be_luck(run: Runner) -> None:
    for name, wrong, lr in (("lucky", slice(10, 22), 0.2), ("bad", slice(0, 60), 0.1)):
        record("a", 0, lr=lr)
        write(wrong)
        commit()
        git("tag", name)
    named = ("HEAD~2", "bad", "lucky", "HEAD")
    assert "better" in run("HEAD~2", "lucky")
    told = run(*named, form="csv").splitlines()
    assert told[0] == "network,train.lr,validation accuracy,difference,at least,at most,verdict"
    assert told[1].startswith("lucky,0.2,0.9400,+0.0400,-0.")
    assert [row.split(",")[0] for row in told[1:]] == ["lucky", "HEAD~2", "bad", "HEAD"]
    assert [row.split(",")[-1] for row in told[1:]] == ["not told apart", "", "worse", "worse"]
    table = run(*named, form="markdown").splitlines()
    assert table[2].startswith("| lucky")
    assert table[7] == run(*named).splitlines()[7]
    assert table[7].startswith(
        "Against HEAD~2, on 200 validation rows: all intervals together hold"
    )


def test_other_rows_are_refused(run: Runner) -> None:
    write(slice(0, 20), ACTUAL.tolist()[:-1])
    with pytest.raises(InputError, match=r"workspace: 199 validation rows, and 200 in HEAD"):
        run("HEAD")
    others = "^workspace: other validation rows than in HEAD"
    write(slice(0, 20), [0, 1, 3, 2, *ACTUAL.tolist()[4:]])
    with pytest.raises(InputError, match=others):
        run("HEAD")
    write(slice(0, 20))
    for images, seed in (("b", 0), ("a", 1)):
        record(images, seed)
        with pytest.raises(InputError, match=others):
            run("HEAD")


def test_a_network_trained_on_its_validation_rows_is_refused(run: Runner) -> None:
    for listed in ("train.rows: {}", "train: {{rows: {}, lr: 0.1}}"):  # commits before, and now
        evaluate = f"  evaluate:\n    params:\n      params.yaml:\n        {listed}\n"
        record("a", 0, evaluate.format("train"))
        assert "not told apart" in run("HEAD")
        record("a", 0, evaluate.format("all"), "all")
        with pytest.raises(InputError, match=r"workspace: train\.rows = 'all': trained on its"):
            run("HEAD")


def test_results_of_other_params_or_code_than_the_commits_own_are_refused(run: Runner) -> None:
    Path("params.yaml").write_text(PARAMS.format(7, "train", 0.1))
    line = r"^{}: params.yaml: prepare.seed = 7, and 0 in its dvc.lock: .* make repro"
    with pytest.raises(InputError, match=line.format("workspace")):
        run("HEAD")
    commit()
    with pytest.raises(InputError, match=line.format("HEAD")):
        run("HEAD~1", "HEAD")
