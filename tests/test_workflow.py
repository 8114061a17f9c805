"""Targets of the Makefile: the hosted workflow and .ci/run run what people run."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.sandbox import ROOT

TEXT = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
WORKFLOW: dict[str, Any] = YAML(typ="safe").load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
TARGETS = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def commands(job: str) -> Iterator[list[str]]:
    """Yield the words of each command of a job, for each value of its matrix."""
    matrix = JOBS[job].get("strategy", {}).get("matrix", {})
    choices = [(key, value) for key, values in matrix.items() for value in values] or [("", "")]
    for step in JOBS[job]["steps"]:
        for key, value in choices:
            command = step.get("run", "").replace(f"${{{{ matrix.{key} }}}}", value)
            yield from (shlex.split(line) for line in command.splitlines())


def targets(words: list[str]) -> list[str]:
    """Return the targets of a `make` that appends what it prints to the summary, or nowhere."""
    command = words[: words.index(">>")] if ">>" in words else words
    assert words[len(command) :] in ([], [">>", "$GITHUB_STEP_SUMMARY"])
    assert command[0] == "make"
    return [word for word in command[1:] if not word.startswith(("-", "REV="))]


@pytest.mark.parametrize("job", sorted(JOBS))
def test_every_command_of_a_job_is_a_target_or_all_that_ci_runs(job: str) -> None:
    found = [words for words in commands(job) if words != [".ci/run"]]
    assert len(found) >= 2
    for words in found:
        [target] = targets(words)
        assert target in TARGETS


def test_all_that_ci_runs_are_targets() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    run = [shlex.split(line)[1] for line in lines if line.startswith("make ")]
    assert run[:3] == ["setup", "check", "test"]
    assert {"verify", "repro", "test-long", "test-results", "emulate"} <= set(run)
    assert set(run) <= set(TARGETS)


def test_every_python_that_is_supported_is_checked_and_verified() -> None:
    versions = JOBS["checks"]["strategy"]["matrix"]["python"]
    text = (ROOT / "requirements.txt").read_text("utf-8")
    [[first, last]] = re.findall(r"Python 3\.(\d+) to 3\.(\d+)\.", text)
    assert versions == [f"3.{minor}" for minor in range(int(first), int(last) + 1)]
    assert list(commands("checks"))[-3:] == [["make", "verify"]] * 3


def test_a_pull_request_shows_how_metrics_and_plots_differ_from_its_base() -> None:
    shown = [words for words in commands("reproduce") if ">>" in words]
    assert [targets(words) for words in shown] == [["diff"], ["diff-plots"]]
    assert all("REV=origin/$GITHUB_BASE_REF" in words for words in shown)
    checkout, *_, upload = JOBS["reproduce"]["steps"]
    assert checkout["with"]["fetch-depth"] == 0
    assert upload["with"]["path"].split() == ["report/index.html", ".plots"]
    assert upload["with"]["include-hidden-files"] is True


def test_a_job_may_read_the_repository_and_no_more() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for job in JOBS.values():
        assert "permissions" not in job
        assert job["steps"][0]["with"]["persist-credentials"] is False


def test_an_action_is_pinned_by_a_hash_beside_its_version() -> None:
    used = re.findall(r"uses: (.*)", TEXT)
    assert len(used) == sum("uses" in step for job in JOBS.values() for step in job["steps"])
    for line in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    assert len(set(used)) == len({line.partition("@")[0] for line in used})


def test_the_results_are_built_anew_on_x86_on_arm_and_on_macos() -> None:
    assert JOBS["checks"]["runs-on"] == "ubuntu-24.04"
    assert JOBS["systems"]["strategy"]["matrix"]["system"] == ["ubuntu-24.04-arm", "macos-15"]
    assert list(commands("systems"))[-2:] == [["make", "verify"]] * 2


HOSTILE = "x;id > made;$(id > made)`id > made`'\"$(shell id > made)"


@pytest.mark.parametrize("place", ["argument", "environment"])
@pytest.mark.parametrize(
    ("target", "variable"),
    [
        *(("diff", "REV"), ("diff-plots", "REV"), ("verify", "REV"), ("compare", "REV")),
        *(("compare", "TO"), ("study", "STUDY"), ("nodes", "STUDY"), ("faults", "KILLS")),
        *(("submit", "MESSAGE"), ("bench", "RUNS"), ("bench-scale", "RUNS"), ("setup", "PYTHON")),
        *(("emulate", "RECIPE"), ("help", "ANYTHING")),
    ],
)
def test_what_comes_from_outside_is_an_argument_and_never_run(
    tmp_path: Path, target: str, variable: str, place: str
) -> None:
    for name in (".venv/bin/python", ".venv/bin/dvc", ".venv/bin/git"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@" "$MESSAGE" >> told\n')
        (tmp_path / name).chmod(0o755)
    for path in ("requirements.txt", "benchmarks/requirements.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    for name in (".aarch64", ".peers", "tests/long"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tests" / "long" / "aarch64.py").touch()
    for name in ("kaggle", "studies"):
        (tmp_path / f"requirements-{name}.txt").touch()
    for name in (".venv/ready", ".venv/kaggle", ".venv/studies", ".peers/ready", ".aarch64/ready"):
        (tmp_path / name).touch()
    if target == "setup":
        (tmp_path / ".venv" / "ready").unlink()
    given = [f"{variable}={HOSTILE}"] if place == "argument" else []
    exported = {variable: HOSTILE} if place == "environment" else {}
    ran = subprocess.run(
        ["make", "-f", ROOT / "Makefile", target, *given],
        cwd=tmp_path,
        env=os.environ | exported,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "made").exists()
    if target != "help":
        told = ran.stderr if target == "setup" else (tmp_path / "told").read_text()
        assert HOSTILE in told


@pytest.mark.parametrize(
    "name", ["MPLBACKEND", "PYTHONPATH", "PYTHONWARNINGS", "TQDM_MININTERVAL", "GIT_DIR", "SHELL"]
)
def test_what_a_shell_or_a_notebook_exports_reaches_no_program(tmp_path: Path, name: str) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for path in (".venv/ready", "requirements.txt", ".venv/bin/python", ".venv/bin/dvc"):
        (tmp_path / path).write_text(f'#!/bin/sh\necho "[${name}]" >> told\n')
        (tmp_path / path).chmod(0o755)
    os.utime(tmp_path / "requirements.txt", (0, 0))
    environment = os.environ | {name: "/usr/bin/fish"}
    subprocess.run(
        ["make", "-f", ROOT / "Makefile", "repro"], cwd=tmp_path, env=environment, check=True
    )
    expected = "[/bin/bash]\n" if name == "SHELL" else "[]\n"
    assert (tmp_path / "told").read_text() == 2 * expected


def test_clean_leaves_all_that_git_has(tmp_path: Path) -> None:
    command = ["git", "ls-files", "-z"]
    tracked = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")[:-1]
    made = [
        ".venv/bin/python",
        "data/mnist/train.csv",
        "models/mlp.safetensors",
        "report/index.html",
    ]
    for name in [*tracked, *made]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "-f", ROOT / "Makefile", "clean"], cwd=tmp_path, check=True)
    found = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(found) == sorted(tracked)
