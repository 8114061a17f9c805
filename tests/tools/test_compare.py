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
train: {{rows: {}}}
"""


def write(wrong: slice, actual: list[int] | None = None) -> None:
    """Write answers that are wrong in those rows."""
    predicted = ACTUAL.copy()
    predicted[wrong] = (predicted[wrong] + 1) % 4
    rows = zip(actual or ACTUAL.tolist(), predicted.tolist(), strict=False)
    write_table(compare.PREDICTIONS, pd.DataFrame(rows, columns=compare.COLUMNS))


def record(images: str, seed: int, more: str = "", rows: str = "train") -> None:
    """Write params, and a dvc.lock that tells of them."""
    Path("dvc.lock").write_text(LOCK.format(images, seed) + more)
    Path("params.yaml").write_text(PARAMS.format(seed, rows))


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

    def compared(revision: str, to: str | None = None) -> str:
        compare.main(revision, to)
        return capsys.readouterr().out

    return compared


def test_a_better_network_is_called_better_and_a_later_commit_worse(run: Runner) -> None:
    write(slice(10, 22))
    told = run("HEAD").splitlines()
    assert told[0].split() == ["class", "rows", "errors", "before", "after", "fixed", "broken"]
    assert told[1].split() == ["0", "50", "5", "3", "3", "1"]
    assert told[5].startswith("accuracy +0.0400 (95 % interval +0.0")
    assert told[5].endswith("): 10 fixed, 2 broken")
    assert told[6:] == ["McNemar's exact test: p = 0.039", "better on these 200 validation rows"]
    write(slice(0, 40))
    commit()
    assert run("HEAD~1", "HEAD").endswith("worse on these 200 validation rows\n")


def test_other_rows_are_refused(run: Runner) -> None:
    write(slice(0, 20), ACTUAL.tolist()[:-1])
    with pytest.raises(InputError, match=r"tree: 199 validation rows, and 200 in HEAD; expected"):
        run("HEAD")
    others = "^the working tree: other validation rows than in HEAD"
    write(slice(0, 20), [0, 1, 3, 2, *ACTUAL.tolist()[4:]])
    with pytest.raises(InputError, match=others):
        run("HEAD")
    write(slice(0, 20))
    for images, seed in (("b", 0), ("a", 1)):
        record(images, seed)
        with pytest.raises(InputError, match=others):
            run("HEAD")


def test_a_network_trained_on_its_validation_rows_is_refused(run: Runner) -> None:
    evaluate = "  evaluate:\n    params:\n      params.yaml:\n        train.rows: {}\n"
    record("a", 0, evaluate.format("train"))
    assert "accuracy" in run("HEAD")
    record("a", 0, evaluate.format("all"), "all")
    with pytest.raises(InputError, match=r"the working tree: train\.rows = 'all': trained on its"):
        run("HEAD")


def test_results_of_other_params_or_code_than_the_commits_own_are_refused(run: Runner) -> None:
    Path("params.yaml").write_text(PARAMS.format(7, "train"))
    line = r"^{}: params.yaml: prepare.seed = 7, and 0 in its dvc.lock: .* make repro"
    with pytest.raises(InputError, match=line.format("the working tree")):
        run("HEAD")
    commit()
    with pytest.raises(InputError, match=line.format("HEAD")):
        run("HEAD~1", "HEAD")
