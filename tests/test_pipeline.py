"""dvc.yaml held against the code, and what `dvc repro` runs again after a change."""

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

from digits.params import Params, load_yaml
from stages._inputs import hash_path
from tests.sandbox import ROOT, Proof, Sandbox
from tools.project import LOCK, read_lock

STAGES: dict[str, Any] = load_yaml(ROOT / "dvc.yaml", "stages")["stages"]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[Path]:
    """Yield the modules of this project that a module imports."""
    for node in ast.walk(parse(path)):
        match node:
            case ast.ImportFrom(module=str(module)):
                names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            case ast.Import():
                names = [alias.name for alias in node.names]
            case _:
                continue
        files = (ROOT / f"{name.replace('.', '/')}.py" for name in names)
        yield from (file for file in files if file.exists())


def reached(path: Path) -> set[Path]:
    """Return a module and all of this project that it imports, directly or not."""
    found, new = {path}, [path]
    while new:
        new = [file for module in new for file in imported(module) if file not in found]
        found |= set(new)
    return found


def is_params(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "params"


def read_params(path: Path) -> set[str]:
    """Return the params that a stage's main reads: keys, and what it hands on: sections, or all."""
    [main] = [node for node in parse(path).body if getattr(node, "name", "") == "main"]
    keys, sections = set(), set()
    for node in ast.walk(main):
        match node:
            case ast.Call(args=handed) if any(map(is_params, handed)):
                return set(Params.model_fields)
            case ast.Attribute(ast.Attribute(ast.Name("params"), section), key):
                keys.add(f"{section}.{key}")
            case ast.Attribute(ast.Name("params"), section):
                sections.add(section)
    return keys | (sections - {key.partition(".")[0] for key in keys})


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_module_that_it_imports_and_on_no_other(stage: str) -> None:
    modules = {
        str(file.relative_to(ROOT))
        for name in ("__main__", stage)
        for file in reached(ROOT / "stages" / f"{name}.py")
    }
    assert {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")} == modules


def test_the_packages_hold_no_code_that_a_result_could_depend_on() -> None:
    [only] = parse(ROOT / "stages" / "__init__.py").body
    assert isinstance(only, ast.Expr)
    # How threads wait, which must be set before torch is imported, and what becomes of free memory.
    _, *imports, setting, memory = parse(ROOT / "digits" / "__init__.py").body
    assert all(isinstance(one, ast.Import | ast.ImportFrom) for one in imports)
    assert ast.unparse(setting) == "os.environ.setdefault('GOMP_SPINCOUNT', '10000')"
    assert isinstance(memory, ast.With)
    assert all("mallopt" in ast.unparse(one) for one in memory.body)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_every_param_that_it_reads_and_no_other(stage: str) -> None:
    assert set(STAGES[stage]["params"]) == read_params(ROOT / "stages" / f"{stage}.py")
    assert "params.yaml" not in STAGES[stage]["deps"]


def test_a_stage_is_one_module_and_its_command_never_changes() -> None:
    names = {path.stem for path in (ROOT / "stages").glob("[!_]*.py")}
    commands = {name: f"python -E -m stages {name}" for name in names}
    assert {name: stage["cmd"] for name, stage in STAGES.items()} == commands


def test_no_stage_before_score_can_read_the_answers() -> None:
    secret = {"data/mnist/answers.csv", "data/mnist/solution.csv"}
    assert [stage for stage in STAGES if secret & set(STAGES[stage]["deps"])] == ["score"]


def test_the_library_knows_nothing_of_dvc_or_of_the_stages() -> None:
    for path in (ROOT / "digits").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) (dvc|stages)\b", path.read_text(), re.MULTILINE)


def test_small_results_are_in_git_and_large_ones_are_not() -> None:
    for stage in STAGES.values():
        for kind in ("metrics", "plots"):
            for entry in stage.get(kind, []):
                [(path, options)] = entry.items()
                assert path.startswith(f"{kind}/")
                assert options["cache"] is False
        outs = [out for out in stage.get("outs", []) if isinstance(out, str)]
        in_git = [path for out in stage.get("outs", []) if isinstance(out, dict) for path in out]
        command = ["git", "check-ignore", *outs, *in_git, "README.md"]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.stdout.splitlines() == outs


def repro(box: Sandbox) -> list[str]:
    """Return the stages that `dvc repro` runs."""
    return re.findall(r"Running stage '(\w+)'", box.run("dvc", "repro"))


def test_nothing_runs_when_nothing_changed(proof: Proof) -> None:
    assert repro(proof.box) == []
    assert proof.box.run("git", "status", "--porcelain", "--untracked-files=all") == ""


def test_stages_take_the_hashes_that_dvc_takes(proof: Proof) -> None:
    for entry in read_lock(proof.box.folder / LOCK)["stages"].values():
        for item in entry["deps"] + entry["outs"]:
            assert hash_path(proof.box.folder / item["path"]) == item["md5"]


def test_every_metric_is_a_scalar_that_dvc_shows(proof: Proof) -> None:
    shown = json.loads(proof.box.run("dvc", "metrics", "show", "--json"))[""]["data"]
    files = [f"metrics/{stage}.json" for stage in ("train", "evaluation", "score")]
    assert set(files) <= shown.keys()
    for name in files:
        assert shown[name]["data"] == json.loads((proof.box.folder / name).read_text())


def test_figures_of_two_commits_are_drawn_side_by_side(proof: Proof) -> None:
    with edited(proof.box, "plots/training.csv", "\n1,", "\n1,9"):
        proof.box.run("dvc", "plots", "diff", "HEAD", "--out", ".dvc/tmp/diff")
    page = (proof.box.folder / ".dvc/tmp/diff/index.html").read_text()
    tables = ("loss", "accuracy", "confusion", "reliability", "errors by class")
    for figure in (*tables, "calibration error"):
        assert f'"text": "{figure}"' in page
    assert {"HEAD", "workspace"} <= set(re.findall(r'"rev": "(\w+)"', page))
    for picture in (proof.box.folder / "plots").glob("*.png"):
        assert page.count(picture.name) >= 2


@contextmanager
def edited(box: Sandbox, name: str, old: str, new: str) -> Iterator[None]:
    """Have `new` in the place of `old` in a file."""
    before = (box.folder / name).read_text()
    box.edit(name, old, new)
    try:
        yield
    finally:
        (box.folder / name).write_text(before)


@pytest.mark.parametrize(
    ("name", "old", "new", "stages"),
    [
        ("params.yaml", "gallery: 60", "gallery: 61", "evaluate report"),
        ("params.yaml", "predict:\n  shift", "predict:\n  shift: 1 #", "evaluate predict report"),
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


def test_what_a_notebook_exports_is_not_for_a_stage(proof: Proof, tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('another numpy')")
    exported = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "FREETYPE_PROPERTIES": "truetype:interpreter-version=35",
        "TQDM_MININTERVAL": "abc",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": str(tmp_path),
    }
    before = (proof.box.folder / "plots/confusion.png").read_bytes()
    ran = proof.box.attempt("sh", "-c", STAGES["evaluate"]["cmd"], environment=exported)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (proof.box.folder / "plots/confusion.png").read_bytes() == before


def test_what_is_wrong_in_the_input_ends_in_one_line(proof: Proof) -> None:
    with edited(proof.box, "params.yaml", "validation: 30", "validation: 90"):
        ran = proof.box.attempt(sys.executable, "-m", "stages", "prepare")
    line = "error: params.yaml: prepare.validation = 90: 90 of the 90 rows in data/mnist/train.csv;"
    assert (ran.returncode, ran.stderr) == (1, f"{line} expected from 1 to 89\n")
