import shutil
import sys
from copy import copy
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
from dvc.api import params_show

from digits.errors import InputError
from digits.params import PARAMS, load_yaml
from tests.sandbox import ROOT, Proof, Sandbox
from tools.__main__ import build_parser, run


@pytest.mark.parametrize(
    "line",
    [
        *("compare a b c", "verify", "diff", "plots", "recover", "doctor"),
        *("kaggle fetch", "idx a b", "recipe a", "tutorial"),
    ],
)
def test_a_command_names_a_function_that_takes_what_it_was_given(line: str) -> None:
    arguments = vars(build_parser().parse_args(line.split()))
    module, _, name = arguments.pop("function").partition(".")
    signature(getattr(import_module(f"tools.{module}"), name or "main")).bind(**arguments)


def test_what_is_not_installed_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tools.browser", raising=False)
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(InputError, match=r"^playwright.*: not installed; expected what make setup"):
        run("browser")


def test_commands_work_in_a_folder_of_a_larger_repository(subfolder: Sandbox) -> None:
    def told(command: str) -> str:
        return subfolder.run("python", "-m", "tools", command)

    assert told("diff") == "No metric differs from those of HEAD.\n\n"
    assert " not told apart\n" in told("compare")
    assert told("plots").startswith("Now: open .plots/index.html")
    for name, old, new in (
        ("plots/training.csv", "\n1,1", "\n1,2"),
        ("metrics/train.json", '"training_loss": 1', '"training_loss": 2'),
        ("metrics/score.json", '"rows": 60', '"rows": 61'),
    ):
        subfolder.edit(name, old, new)
    diff, plots = told("diff"), told("plots")
    subfolder.run("git", "checkout", ".")
    validation, test = diff.split("The test, looked at when nothing is to be chosen any more:\n\n")
    assert "| metrics/train.json | training_loss " in validation
    assert "| metrics/score.json | rows " in test
    assert "plots/training.csv: from epoch 1 on: minimised_loss; 1 of 6 rows; row 2: " in diff
    assert "- `plots/training.csv` differs\n" in plots


def test_dvc_tells_the_params_of_the_project_alone(
    proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(proof.box.folder)
    params = load_yaml(PARAMS, "the parameters")
    assert params_show() == params_show(repo=".") == params


def test_a_copy_without_git_is_reproduced_and_what_needs_git_says_so(
    subfolder: Sandbox, tmp_path: Path
) -> None:
    box = copy(subfolder)
    box.folder = tmp_path / "copy"
    shutil.copytree(subfolder.folder, box.folder)
    assert box.run("python", "-m", "tools", "recover") == ""
    variables = {"DVC_SYSTEM_CONFIG_DIR": str(ROOT / ".dvc" / "without-git")}
    ran = box.attempt("dvc", "repro", environment=variables)
    assert ran.stdout.endswith("Data and pipelines are up to date.\n"), ran.stderr
    for command in ("compare", "diff", "plots", "verify"):
        ran = box.attempt("python", "-m", "tools", command)
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert ran.stderr.startswith("error: fatal: not a git repository")
