"""dvc.yaml held against the code, and what DVC runs again after a change."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from digits.network.model import MODEL
from digits.params import Params, load_yaml
from stages._inputs import hash_path
from tests.sandbox import ROOT, Proof, Sandbox, recorded
from tools.project import LOCK, find_cache, is_whole, read_lock, stored

# What a person is told, and when a stage runs: neither decides what it writes.
NO_DEPENDENCIES = {"digits/errors.py", "digits/process.py"}
STAGES: dict[str, Any] = load_yaml(ROOT / "dvc.yaml", "stages")["stages"]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names of what a module imports, which may be in modules."""
    for node in ast.walk(parse(path)):
        match node:
            case ast.ImportFrom(module=str(module)):
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.Import():
                yield from (alias.name for alias in node.names)


def reached(path: Path) -> set[Path]:
    """Return a module and all of this project that it imports, directly or not."""
    found, new = set[Path](), {path}
    while new:
        found |= new
        places = {ROOT / name.replace(".", "/") for module in new for name in imported(module)}
        files = {file.with_suffix(".py") for place in places for file in (place, place.parent)}
        new = {file for file in files if file.exists()} - found
    return found


def read_params(path: Path) -> set[str]:
    """Return the params that a stage's main reads: keys, and what it hands on: sections, or all."""
    [main] = [node for node in parse(path).body if getattr(node, "name", "") == "main"]
    keys, sections = set(), set()
    for node in ast.walk(main):
        match node:
            case ast.Call(args=[*_, ast.Name("params")] | [ast.Name("params"), *_]):
                return set(Params.model_fields)
            case ast.Attribute(ast.Attribute(ast.Name("params"), section), key):
                keys.add(f"{section}.{key}")
            case ast.Attribute(ast.Name("params"), section):
                sections.add(section)
    return keys | (sections - {key.partition(".")[0] for key in keys})


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_and_the_params_that_it_reads_and_on_no_other(
    stage: str,
) -> None:
    path = ROOT / "stages" / f"{stage}.py"
    modules = {
        str(file.relative_to(ROOT))
        for file in reached(path) | reached(path.with_name("__main__.py"))
    }
    found = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    assert found == modules - NO_DEPENDENCIES
    assert set(STAGES[stage].get("params", [])) == read_params(path)
    assert "params.yaml" not in STAGES[stage]["deps"]


def test_the_packages_hold_no_code_that_a_result_could_depend_on() -> None:
    for path in (*(ROOT / "digits").rglob("__init__.py"), ROOT / "stages" / "__init__.py"):
        kinds = [type(node) for node in parse(path).body if not isinstance(node, ast.Import)]
        # How threads wait, which must be set before what starts them is imported, and what becomes
        # of memory.
        own = [ast.ImportFrom, ast.Expr, ast.Expr, ast.With] * (path.parent.name == "digits")
        assert kinds == [ast.Expr, *own]


def test_what_answers_images_needs_no_torch() -> None:
    for names, lacking in (
        ("stages.evaluate, stages.predict, stages.report", {"torch"}),
        ("digits.classify, digits.recogniser", {"torch", "pandas", "tqdm", "matplotlib"}),
    ):
        code = f"import sys, {names}; sys.exit(bool({lacking} & set(sys.modules)))"
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_stage_is_one_module_and_its_command_never_changes() -> None:
    names = {path.stem for path in (ROOT / "stages").glob("[!_]*.py")}
    commands = {name: f"python -E -m stages {name}" for name in names}
    assert {name: stage["cmd"] for name, stage in STAGES.items()} == commands


def test_no_stage_before_score_can_read_the_answers() -> None:
    secret = {"data/mnist/answers.csv", "data/mnist/solution.csv"}
    assert [stage for stage in STAGES if secret & set(STAGES[stage]["deps"])] == ["score"]


def test_small_results_are_in_git_and_large_ones_are_not() -> None:
    kinds = ("outs", "metrics", "plots")
    entries = [
        entry for stage in STAGES.values() for kind in kinds for entry in stage.get(kind, [])
    ]
    large = [entry for entry in entries if isinstance(entry, str)]
    small = {
        path: options for entry in entries if entry not in large for path, options in entry.items()
    }
    assert all(options["cache"] is False for options in small.values())
    command = ["git", "check-ignore", *large, *small]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines() == large


def find_run(told: str) -> list[str]:
    """Return the stages that DVC says it runs."""
    return re.findall(r"Running stage '(\w+)'", told)


def test_nothing_runs_when_nothing_changed(proof: Proof) -> None:
    assert find_run(proof.box.run("dvc", "repro")) == []
    assert proof.box.run("git", "status", "--porcelain", "--untracked-files=all") == ""


def test_hashes_and_places_in_the_cache_are_those_of_dvc(proof: Proof) -> None:
    for entry in read_lock(proof.box.folder / LOCK)["stages"].values():
        for item in entry["deps"] + entry["outs"]:
            assert hash_path(proof.box.folder / item["path"]) == item["md5"]
    model = recorded(proof.box.folder, MODEL)
    assert is_whole(stored(find_cache(proof.box.folder), model), model)


@contextmanager
def edited(box: Sandbox, name: str, old: str, new: str) -> Iterator[None]:
    """Have `new` in the place of `old` in a file."""
    before = (box.folder / name).read_text()
    box.edit(name, old, new)
    try:
        yield
    finally:
        (box.folder / name).write_text(before)


def test_figures_of_two_commits_are_drawn_side_by_side(proof: Proof) -> None:
    with edited(proof.box, "plots/training.csv", "\n1,", "\n1,9"):
        proof.box.run("dvc", "plots", "diff", "HEAD", "--out", ".dvc/tmp/diff")
    page = (proof.box.folder / ".dvc/tmp/diff/index.html").read_text()
    tables = {"loss", "accuracy", "confusion", "reliability", "errors by class"}
    assert tables | {"calibration error"} <= set(re.findall(r'"text": "([\w ]+)"', page))
    assert {"HEAD", "workspace"} <= set(re.findall(r'"rev": "(\w+)"', page))
    assert page.count("confusion.png") >= 2


@pytest.mark.parametrize(
    ("name", "old", "new", "stages"),
    [
        ("params.yaml", "gallery: 60", "gallery: 61", "evaluate report"),
        (
            "params.yaml",
            "predict:\n  rotation: 0",
            "predict:\n  rotation: 9",
            "evaluate report",  # and predict, if the network to give away is another
        ),
        ("params.yaml", "networks: 1\n", "networks: 1 # a comment\n", ""),
        ("digits/report/web/style.css", "#ffffff", "#fffffe", "report"),
        ("digits/data/split.py", "The split", "A split", "prepare evaluate"),
    ],
)
def test_an_edit_touches_only_the_stages_that_use_it(
    proof: Proof, name: str, old: str, new: str, stages: str
) -> None:
    with edited(proof.box, name, old, new):
        assert set(json.loads(proof.box.run("dvc", "status", "--json"))) == set(stages.split())


@pytest.mark.long
def test_an_experiment_runs_what_its_params_touch_here_or_queued_and_is_kept(proof: Proof) -> None:
    box = proof.box
    told = box.run("dvc", "exp", "run", "--name", "here", "--set-param", "train.lr=0.005")
    assert find_run(told) == ["train", "evaluate", "predict", "score", "report"]
    box.run("dvc", "exp", "run", "--name", "queued", "--queue", "--set-param", "train.epochs=2")
    box.run("dvc", "exp", "run", "--run-all")
    box.run("dvc", "exp", "apply", "queued")
    assert len((box.folder / "plots/training.csv").read_text().splitlines()) == 1 + 2
    box.run("git", "checkout", "--quiet", "--", ".")
    box.run("dvc", "checkout", "--quiet")
