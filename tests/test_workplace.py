"""What people work with: hooks of `git commit`, a dev container, settings of editors."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.sandbox import ROOT

[LOCAL] = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"]
HOOKS: dict[str, dict[str, Any]] = {hook["id"]: hook for hook in LOCAL["hooks"]}
PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")


def read_json(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / name).read_bytes())
    return content


def written_by_programs() -> list[str]:
    """Return what Git has of what the stages write, and the locks."""
    kept = [
        path
        for stage in PIPELINE["stages"].values()
        for kind in ("metrics", "outs", "plots")
        for entry in stage.get(kind, [])
        if isinstance(entry, dict)
        for path, settings in entry.items()
        if settings.get("cache") is False
    ]
    assert {"models/README.md", "metrics/score.json", "plots/confusion.csv"} <= set(kept)
    return [*kept, "dvc.lock", "studies/dvc.lock"]


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_a_hook_runs_a_program_of_the_environment_and_pins_no_version(name: str) -> None:
    assert LOCAL["repo"] == "local"
    assert HOOKS[name]["language"] == "system"
    assert HOOKS[name]["entry"].startswith((".venv/bin/ruff ", f".venv/bin/{name}"))
    assert "additional_dependencies" not in HOOKS[name]


@pytest.mark.parametrize("name", ["end-of-file-fixer", "mixed-line-ending"])
def test_no_hook_mends_what_dvc_lock_has_the_hash_of(name: str) -> None:
    excluded = re.compile(HOOKS[name]["exclude"])
    assert all(excluded.search(path) for path in written_by_programs())
    assert not any(map(excluded.search, ("README.md", "dvc.yaml", "digits/network/model.py")))


def test_the_dev_container_has_a_supported_python_and_makes_the_environment() -> None:
    container = read_json(".devcontainer/devcontainer.json")
    assert re.fullmatch(
        r"mcr\.microsoft\.com/devcontainers/python:3\.1[123]-\w+", container["image"]
    )
    assert container["postCreateCommand"] == "make setup"
    [address] = container["containerEnv"].values()
    assert f"PIP_EXTRA_INDEX_URL={address} " in (ROOT / "README.md").read_text("utf-8")


def test_the_dev_container_and_the_editor_have_the_same_extensions() -> None:
    container = read_json(".devcontainer/devcontainer.json")
    recommended = read_json(".vscode/extensions.json")["recommendations"]
    assert container["customizations"]["vscode"]["extensions"] == recommended


def test_the_editor_uses_the_environment_and_does_not_watch_what_git_leaves_out() -> None:
    settings = read_json(".vscode/settings.json")
    assert settings["python.defaultInterpreterPath"] == "${workspaceFolder}/.venv/bin/python"
    left_out = (ROOT / ".gitignore").read_text("utf-8") + (ROOT / ".dvc/.gitignore").read_text(
        "utf-8"
    )
    for pattern in settings["files.watcherExclude"]:
        assert f"/{Path(pattern.strip('*/')).name}" in left_out
