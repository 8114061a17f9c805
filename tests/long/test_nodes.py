import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from digits.errors import InputError
from studies.design import RESULTS
from tests.conftest import list_listening
from tests.sandbox import ROOT

pytest.importorskip("ray", reason="Ray comes with `make test-long`")
from tests.long import nodes

STUDY = """\
variants:
  plain: {recipe: params.yaml, set: {train.epochs: 2000}, seeds: 4}
folds: 2
test: false
"""


@pytest.fixture
def study(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a study's file in a repository with prepared data, after it was run once."""
    path = Path("study.yaml")
    path.write_text(STUDY)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(sys, "argv", ["nodes", str(path), "--cores", "1"])
    subprocess.run([sys.executable, "-m", "studies.run", str(path)], check=True)
    return path


@pytest.mark.long
def test_a_study_survives_the_death_of_a_node(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in RESULTS.iterdir()}
    nodes.main()
    assert "the same summary, byte for byte, of 8 trials" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in RESULTS.iterdir()} == before


@pytest.mark.long
def test_nodes_are_out_of_reach_of_others_and_leave_nothing_behind() -> None:
    with nodes.two_nodes(1) as (environment, first, second):
        found = [psutil.Process(node.pid) for node in (first, second)]
        nodes.wait_until(lambda: all(map(list_listening, found)), "what listens")
        assert set().union(*map(list_listening, found)) == {"127.0.0.1"}
        [folder] = Path(environment["RAY_TMPDIR"]).iterdir()
        assert any(folder.glob("session_*/sockets/*"))
        assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert not folder.parent.exists()


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with the results of a study; return where they lie."""
    monkeypatch.chdir(tmp_path)
    RESULTS.mkdir(parents=True)
    (RESULTS / "study.png").write_bytes(b"")
    write_results("{}", "0,plain,2.5,now")
    Path("study.yaml").write_text(STUDY)
    monkeypatch.setattr(sys, "argv", ["nodes", "study.yaml"])
    return RESULTS


def write_results(summary: str, row: str) -> None:
    (RESULTS / "study.json").write_text(summary)
    (RESULTS / "study.csv").write_text(f"seed,variant,seconds,commit\n{row}\n")


@pytest.mark.parametrize(
    ("summary", "row", "same"),
    [
        ("{}", "0,plain,1.5,later", True),
        ("{ }", "0,plain,1.5,later", False),
        ("{}", "1,plain,2.5,now", False),
    ],
)
def test_another_result_is_an_error_and_the_one_from_before_stays(
    results: Path, monkeypatch: pytest.MonkeyPatch, summary: str, row: str, same: bool
) -> None:
    before = {path: path.read_bytes() for path in results.iterdir()}
    monkeypatch.setattr(nodes, "run_with_a_kill", lambda *_: write_results(summary, row))
    with nullcontext() if same else pytest.raises(InputError, match="expected the same"):
        nodes.main()
    assert {path: path.read_bytes() for path in results.iterdir()} == before


def test_a_study_that_was_never_run_has_nothing_to_compare_with(results: Path) -> None:
    (results / "study.json").unlink()
    with pytest.raises(InputError, match=r"study.json: no such file; expected what make study wri"):
        nodes.main()


def test_a_study_that_was_begun_before_proves_nothing(results: Path) -> None:
    Path("study.journal").mkdir()
    Path("study.journal/a.json").touch()
    with pytest.raises(InputError, match=r"journal: a study that was stopped; expected none"):
        nodes.main()


def test_a_process_is_stopped_only_while_it_has_the_name_that_was_looked_for() -> None:
    with psutil.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        name = process.name()
        assert not nodes.stop(process, f"not {name}")
        nodes.wait_until(lambda: process.status() != psutil.STATUS_STOPPED, "an end of the stop")
        assert nodes.stop(process, name)
        nodes.wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "a stop")
        process.kill()
        process.wait()
        assert not nodes.stop(process, name)


def test_a_study_that_ends_before_a_node_is_killed_is_an_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as study:
        study.wait()
        with pytest.raises(InputError, match="ended before a node was killed"):
            nodes.check_runs(study)
