"""One commit, with a metric altered, is built anew; others are held against what came of it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.errors import InputError
from tests.sandbox import Proof, recorded
from tools import verify
from tools.ledger import Output, find_cache, stored
from tools.verify import CLONE, UNKNOWN, Result, choose_commit, compare, print_table

SCORE = Path("metrics/score.json")


@pytest.fixture(scope="module")
def told(proof: Proof) -> Iterator[subprocess.CompletedProcess[str]]:
    """Yield what verify says of a commit with one other byte in a metric."""
    before = (proof.box.folder / SCORE).read_text()
    proof.box.edit(str(SCORE), '"rows": 60', '"rows": 61')
    proof.box.commit("Alter a metric")
    yield proof.box.attempt(sys.executable, "-m", "tools.verify")
    shutil.rmtree(proof.box.folder / CLONE)
    (proof.box.folder / SCORE).write_text(before)
    proof.box.commit("Put it right")


@pytest.fixture
def rebuilt(
    proof: Proof, told: subprocess.CompletedProcess[str], monkeypatch: pytest.MonkeyPatch
) -> Proof:
    """Go to the sandbox, where the clone in which all was built anew still lies."""
    monkeypatch.chdir(proof.box.folder)
    return proof


def differing() -> dict[str, str]:
    """Return name and difference of what differs between the last commit and the clone."""
    found = {result.name: result.difference for result in compare("HEAD") if result.difference}
    del found[str(SCORE)]
    return found


def alter(proof: Proof, name: str, old: str, new: str) -> dict[str, str]:
    """Commit a file with `new` in the place of `old`; return how the clone differs from that."""
    path = proof.box.folder / name
    before = path.read_bytes()
    path.write_bytes(before.replace(old.encode(), new.encode(), 1))
    proof.box.commit("Alter")
    found = differing()
    path.write_bytes(before)
    proof.box.commit("Put right")
    return found


def test_another_byte_in_a_metric_fails_and_is_named(
    told: subprocess.CompletedProcess[str],
) -> None:
    assert told.returncode == 1
    line = r"^score +metrics/score.json +different: in Git: rows 61 became 60$"
    assert re.search(line, told.stdout, re.MULTILINE)
    assert len(re.findall(r"  same$", told.stdout, re.MULTILINE)) == 29
    assert re.search(r"^platform: .* kernels, training on ", told.stdout, re.MULTILINE)
    assert re.search(r"^reason: none is known", told.stdout, re.MULTILINE)
    [error] = told.stderr.splitlines()[-1:]
    assert re.fullmatch(r"error: metrics/score.json: not as in \w{7}; .* is in \.verify", error)


def test_another_digit_in_a_hash_of_dvc_lock_is_named(rebuilt: Proof) -> None:
    md5 = recorded(rebuilt.box.folder, Path("models/mlp.safetensors"))
    other = md5[:-1] + ("0" if md5[-1] != "0" else "1")
    found = alter(rebuilt, "dvc.lock", md5, other)
    assert found == {"models/mlp.safetensors": f"in dvc.lock: {UNKNOWN}"}


@pytest.mark.parametrize(
    ("old", "new", "name", "difference"),
    [
        ("download.seed: 0", "download.seed: 1", "params.params.yaml.download.seed", "1 became 0"),
        ("size: ", "size: 9", "deps.digits/data/answers.py.size", r"9\d+ became \d+"),
        (
            "-m stages score",
            "-m  stages score",
            "cmd",
            r"exec env .* -m  stages score became exec .*",
        ),
    ],
)
def test_another_digit_elsewhere_in_dvc_lock_is_named(
    rebuilt: Proof, old: str, new: str, name: str, difference: str
) -> None:
    [(found, words)] = alter(rebuilt, "dvc.lock", old, new).items()
    assert found == f"dvc.lock: {name}"
    assert re.fullmatch(difference, words)


def test_a_file_that_no_stage_lists_is_named(rebuilt: Proof) -> None:
    stray = CLONE / "plots" / "stray.png"
    stray.touch()
    assert differing() == {"plots/stray.png": "not as in Git"}
    stray.unlink()


def test_how_much_differs_is_told_where_the_old_bytes_are_kept(rebuilt: Proof) -> None:
    path = CLONE / "submission.csv"
    before = path.read_text()
    path.write_text(before.replace("\n1,", "\n9,", 1))
    result = verify._by_how_much(  # noqa: SLF001
        Output("predict", "submission.csv", recorded(Path(), path.relative_to(CLONE))),
        Output("predict", "submission.csv", "ffff"),
    )
    path.write_text(before)
    assert result.startswith("1 of 61 rows; row 2: '1,")


def test_without_the_old_bytes_the_hash_alone_is_told(rebuilt: Proof) -> None:
    kept = stored(find_cache(), recorded(Path(), Path("submission.csv")))
    content = kept.read_bytes()
    kept.unlink()
    result = verify._by_how_much(  # noqa: SLF001
        Output("predict", "submission.csv", kept.parent.name + kept.name),
        Output("predict", "submission.csv", "ffff"),
    )
    kept.write_bytes(content)
    kept.chmod(0o444)
    assert result == UNKNOWN


def test_what_is_not_committed_is_refused_before_anything_is_built(rebuilt: Proof) -> None:
    rebuilt.box.edit("params.yaml", "gallery: 60", "gallery: 61")
    with pytest.raises(InputError, match=r"^params.yaml: not as in the last commit; expected it"):
        choose_commit(None)
    assert choose_commit("HEAD") == rebuilt.box.run("git", "rev-parse", "HEAD").strip()
    rebuilt.box.edit("params.yaml", "gallery: 61", "gallery: 60")
    assert choose_commit(None) == choose_commit("HEAD")


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("params.yaml", "lr: 0.01 ", "lr: 0.02 ", r"params.yaml: train.lr = 0.02, and 0.01 in its"),
        (
            "digits/report/web/style.css",
            "--paper: #ffffff",
            "--paper: #fffffe",
            r"digits/report/web: not as in",
        ),
        (
            "digits/data/split.py",
            "The split",
            "A split",
            r"digits/data/split.py: not as in its dvc.lock: .*",
        ),
    ],
)
def test_a_commit_that_changes_what_it_did_not_run_is_refused_before_anything_is_built(
    rebuilt: Proof, name: str, old: str, new: str, line: str
) -> None:
    rebuilt.box.edit(name, old, new)
    rebuilt.box.commit("Change without a run")
    with pytest.raises(
        InputError, match=rf"^\w{{7}}: {line} .* expected .* make repro, then commit"
    ):
        choose_commit(None)
    rebuilt.box.edit(name, new, old)
    rebuilt.box.commit("Put it right")
    choose_commit(None)


def test_an_unknown_revision_is_refused(rebuilt: Proof) -> None:
    with pytest.raises(InputError, match=r"no-such-revision: .*; expected a revision"):
        choose_commit("no-such-revision")


def test_the_table_has_a_line_for_each_result(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Result("train", "a.csv"), Result("evaluate", "longer.json", "x 1 became 2")])
    assert capsys.readouterr().out == (
        "train     a.csv        same\nevaluate  longer.json  different: x 1 became 2\n"
    )
