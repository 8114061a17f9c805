"""Targets of the Makefile: the hosted workflow and .ci/run run what people run."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sandbox import ROOT

TEXT = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
WORKFLOW: dict[str, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
TARGETS = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def commands(job: str) -> Iterator[list[str]]:
    """Yield the words of each command of a job."""
    for step in JOBS[job]["steps"]:
        yield from (shlex.split(line) for line in step.get("run", "").splitlines())


def test_every_command_is_a_target_or_all_that_ci_runs_or_of_the_environment() -> None:
    found = [words for job in JOBS for words in commands(job)]
    assert {"setup", "check", "test", "verify", "repro", "diff", "doctor"} <= {
        word for words in found if words[0] == "make" for word in words[1:]
    }
    for program, *words in found:
        if program == "make":
            named = [word for word in words if re.fullmatch("[a-z]+", word)]
            assert named == named[:1]
            assert set(named) <= set(TARGETS)
        else:
            assert program in (".ci/run", "sudo") or program.startswith(".venv/bin/")


def test_all_that_ci_runs_are_targets() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    run = [shlex.split(line)[1:] for line in lines if line.startswith("make ")]
    assert run == [["setup"], ["check"], ["test"], ["verify"], ["repro"], ["test", "LONG=1"]]


def test_every_python_that_is_supported_is_checked_and_verified() -> None:
    versions = JOBS["checks"]["strategy"]["matrix"]["python"]
    text = (ROOT / "constraints.txt").read_text("utf-8")
    [[first, last]] = re.findall(r"Python 3\.(\d+) to 3\.(\d+)\.", text)
    assert versions == [f"3.{minor}" for minor in range(int(first), int(last) + 1)]
    assert list(commands("checks"))[-1] == ["make", "verify"]


def test_a_job_may_read_the_repository_and_no_more() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for job in JOBS.values():
        assert "permissions" not in job
        assert job["steps"][0]["with"]["persist-credentials"] is False


def test_an_action_is_pinned_by_a_hash_beside_its_version() -> None:
    for line in re.findall(r"uses: (.*)", TEXT):
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


def test_no_hook_mends_what_dvc_lock_has_the_hash_of() -> None:
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    mending = [
        hook for hook in local["hooks"] if hook["id"] in ("end-of-file-fixer", "mixed-line-ending")
    ]
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text("utf-8"))["stages"]
    outputs = {out["path"] for stage in lock.values() for out in stage["outs"]}
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    kept = [*(outputs & set(tracked)), "dvc.lock", "studies/dvc.lock"]
    assert len(kept) > 10
    for hook in mending:
        excluded = re.compile(hook["exclude"])
        assert all(excluded.search(path) for path in kept)
        assert not any(map(excluded.search, ("README.md", "dvc.yaml", "digits/params.py")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an environment whose programs note what they are given."""
    for name in ("python", "dvc", "git"):
        path = tmp_path / ".venv" / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\nprintf "%s\\n" "[$PYTHONPATH]" "$@" >> told\n')
        path.chmod(0o755)
    names = ("constraints.txt", "pyproject.toml", "benchmarks/requirements.txt")
    for name in (*names, ".venv/ready", ".peers/ready"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{tmp_path}\n")
    return tmp_path


def make(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-f", ROOT / "Makefile", *words],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("outside", ["argument", "environment"])
@pytest.mark.parametrize(
    ("target", "variable"),
    [
        *(("diff", "REV"), ("verify", "REV"), ("compare", "REV"), ("compare", "TO")),
        *(("study", "STUDY"), ("bench", "RUNS"), ("setup", "EXTRA")),
    ],
)
def test_what_comes_from_outside_is_an_argument_and_never_run(
    folder: Path, target: str, variable: str, outside: str
) -> None:
    hostile = "x;id > made;`id > made`'\""
    if outside == "argument":
        make(folder, target, f"{variable}={hostile}")
    else:
        make(folder, target, **{variable: hostile})
    assert not (folder / "made").exists()
    assert hostile in (folder / "told").read_text()


def test_what_a_shell_exports_for_other_programs_reaches_none(folder: Path) -> None:
    make(folder, "repro", PYTHONPATH="elsewhere")
    assert set(re.findall(r"^\[.*\]$", (folder / "told").read_text(), re.MULTILINE)) == {"[]"}


def test_an_environment_that_was_moved_is_made_anew(folder: Path) -> None:
    assert "venv .venv" not in make(folder, "--dry-run", "repro").stdout
    (folder / ".venv" / "ready").write_text("/where/it/was\n")
    assert "venv .venv" in make(folder, "--dry-run", "repro").stdout


def test_clean_leaves_all_that_git_has(tmp_path: Path) -> None:
    tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")[
        :-1
    ]
    made = [
        ".venv/bin/python",
        "data/mnist/train.csv",
        "models/mlp.safetensors",
        "report/index.html",
    ]
    for name in [*tracked, *made]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert make(tmp_path, "clean").returncode == 0
    found = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(found) == sorted(tracked)
