"""One commit, with a metric altered, is built anew; others are held against what came of it."""

import re
from collections.abc import Iterator

import pytest

from digits.errors import InputError
from digits.network.model import MODEL
from tests.sandbox import Sandbox, recorded
from tests.test_pipeline import STAGES
from tools.project import LOCK
from tools.verify import CLONE, choose_commit, compare

SCORE = "metrics/score.json"


@pytest.fixture(scope="module")
def told(subfolder: Sandbox) -> Iterator[tuple[str, str]]:
    """Yield what verify says of a commit with one other byte in a metric: output and errors."""
    subfolder.edit(SCORE, '"rows": 60', '"rows": 61')
    subfolder.commit("Alter a metric")
    ran = subfolder.attempt("python", "-m", "tools", "verify")
    assert ran.returncode == 1
    yield ran.stdout, ran.stderr
    subfolder.edit(SCORE, '"rows": 61', '"rows": 60')
    subfolder.commit("Put it right")


KINDS = ("outs", "metrics", "plots")


@pytest.fixture
def rebuilt(subfolder: Sandbox, told: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Go to the sandbox, where the clone in which all was built anew still lies."""
    monkeypatch.chdir(subfolder.folder)
    return subfolder


def test_another_byte_in_a_metric_fails_and_is_named(told: tuple[str, str]) -> None:
    out, err = told
    line = r"^score +metrics/score.json +different: in Git: 1 of \d rows; row \d: .* 61.* became "
    assert re.search(line, out, re.MULTILINE)
    lists = (stage.get(kind, []) for stage in STAGES.values() for kind in KINDS)
    assert len(re.findall(r"  same$", out, re.MULTILINE)) == sum(map(len, lists)) - 1
    assert re.search(r"^platform: .* kernels, training on ", out, re.MULTILINE)
    assert re.search(r"^versions other than in constraints.txt: ", out, re.MULTILINE)
    [error] = err.splitlines()[-1:]
    assert re.fullmatch(r"error: metrics/score.json: not as in \w{7}; .* is in \.verify", error)


def test_other_digits_in_dvc_lock_and_files_that_no_stage_lists_are_named(rebuilt: Sandbox) -> None:
    lock, stray = CLONE / LOCK, CLONE / "plots" / "stray.png"
    before, md5 = lock.read_text(), recorded(rebuilt.folder, MODEL)
    lock.write_text(before.replace(md5, md5[::-1]))  # as an output, and of one stage as input
    stray.touch()
    found = {result.name: result.difference for result in compare("HEAD")}
    lock.write_text(before)
    stray.unlink()
    assert found[str(MODEL)] == "another hash in dvc.lock"
    assert re.match(r"in Git: 2 of [\d,]+ rows; row \d+: ", found["dvc.lock"])
    assert found["plots/stray.png"] == "not in Git"
    assert sum(map(bool, found.values())) == 3 + 1


def test_what_is_not_committed_or_was_not_run_is_refused_before_anything_is_built(
    rebuilt: Sandbox,
) -> None:
    name = "digits/report/web/style.css"
    rebuilt.edit(name, "#ffffff", "#fffffe")
    with pytest.raises(InputError, match=rf"^{name}: not as in the last commit; expected it"):
        choose_commit(None)
    assert choose_commit("HEAD") == rebuilt.run("git", "rev-parse", "HEAD").strip()
    rebuilt.commit("Change without a run")
    line = r"^\w{7}: digits/report/web: not as in its .* expected .* make repro, then"
    with pytest.raises(InputError, match=line):
        choose_commit(None)
    rebuilt.edit(name, "#fffffe", "#ffffff")
    rebuilt.commit("Put it right")
    assert choose_commit(None) == choose_commit("HEAD")
