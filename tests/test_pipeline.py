"""dvc.yaml held against the code, and what `dvc repro` runs again after a change."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from digits.answers import write_answers
from digits.kaggle import write_images, write_submission
from tests.conftest import ROOT, make_images, tiny_params

STAGES: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[Path]:
    """Yield the modules of this project that a module imports."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
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


def read_params(path: Path) -> set[str]:
    """Return the params that a stage's main reads: single keys, and sections handed on whole."""
    [main] = [node for node in parse(path).body if getattr(node, "name", "") == "main"]
    keys, sections = set(), set()
    for node in ast.walk(main):
        match node:
            case ast.Attribute(ast.Attribute(ast.Name("params"), section), key):
                keys.add(f"{section}.{key}")
            case ast.Attribute(ast.Name("params"), section):
                sections.add(section)
    return keys | (sections - {key.partition(".")[0] for key in keys})


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_module_that_it_imports_and_on_no_other(stage: str) -> None:
    modules = {str(file.relative_to(ROOT)) for file in reached(ROOT / "stages" / f"{stage}.py")}
    assert {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")} == modules


def test_the_packages_hold_no_code_of_their_own() -> None:
    for package in ("digits", "stages"):
        [only] = parse(ROOT / package / "__init__.py").body
        assert isinstance(only, ast.Expr)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_every_param_that_it_reads_and_no_other(stage: str) -> None:
    assert set(STAGES[stage]["params"]) == read_params(ROOT / "stages" / f"{stage}.py")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_one_module_and_its_command_never_changes(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"


def test_there_is_a_stage_for_every_module() -> None:
    assert {path.stem for path in (ROOT / "stages").glob("[!_]*.py")} == STAGES.keys()


def test_no_stage_before_score_can_read_the_answers() -> None:
    secret = {"data/mnist/answers.csv", "data/mnist/solution.csv"}
    assert [stage for stage in STAGES if secret & set(STAGES[stage]["deps"])] == ["score"]


def test_the_library_knows_nothing_of_dvc_or_of_the_stages() -> None:
    for path in (ROOT / "digits").glob("*.py"):
        assert not re.search(r"^\s*(from|import) (dvc|stages)\b", path.read_text(), re.MULTILINE)


def test_small_results_are_in_git_and_large_ones_are_not() -> None:
    for stage in STAGES.values():
        for kind in ("metrics", "plots"):
            for entry in stage.get(kind, []):
                [(path, options)] = entry.items()
                assert path.startswith(f"{kind}/")
                assert options["cache"] is False
        ignored = subprocess.run(
            ["git", "check-ignore", *stage.get("outs", []), "README.md"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ignored.stdout.splitlines() == stage.get("outs", [])


def test_the_readme_has_a_line_for_every_module() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in ("digits", "stages", "studies", "recipes"):
        for path in (ROOT / folder).glob("[!_]*.*"):
            assert f"    {folder}/{path.name} " in readme


class Pipeline:
    """A copy of the project with tiny images, whose download stands as done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {"DVC_SITE_CACHE_DIR": str(folder / ".site"), "GIT_CONFIG_GLOBAL": os.devnull}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | environment | {"PATH": path}

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *command: str) -> str:
        ran = self.attempt(*command)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def repro(self) -> list[str]:
        """Return the stages that `dvc repro` runs."""
        return re.findall(r"Running stage '(\w+)'", self.dvc("repro"))

    def changed(self) -> set[str]:
        """Return the stages that DVC finds changed by themselves."""
        return set(json.loads(self.dvc("status", "--json")))

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("pipeline")
    for name in ("digits", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    changes = {
        "data.train": "data/mnist/train.csv",
        "data.test": "data/mnist/test.csv",
        "train.epochs": 1,
    }
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(tiny_params(changes), file)
    (pixels, labels), (others, truth) = make_images(90), make_images(12, seed=1)
    write_images(folder / "data/mnist/train.csv", pixels, labels)
    write_images(folder / "data/mnist/test.csv", others)
    write_submission(folder / "data/mnist/solution.csv", truth.tolist())
    write_answers(folder / "data/mnist/answers.csv", others, truth)
    pipeline = Pipeline(folder)
    pipeline.run("git", "init", "--quiet")
    pipeline.dvc("commit", "--force", "download")
    assert pipeline.repro() == ["prepare", "train", "evaluate", "predict", "score"]
    return pipeline


def test_nothing_runs_when_nothing_changed(pipeline: Pipeline) -> None:
    assert pipeline.repro() == []
    ignored = ["data/mnist", "data/prepared", "models", "submission.csv"]
    untracked = pipeline.run("git", "status", "--porcelain", "--untracked-files=all")
    assert not [line for line in untracked.splitlines() if any(path in line for path in ignored)]


def test_every_metric_is_a_scalar_that_dvc_shows(pipeline: Pipeline) -> None:
    shown = json.loads(pipeline.dvc("metrics", "show", "--json"))[""]["data"]
    files = {"metrics/train.json", "metrics/evaluation.json", "metrics/score.json"}
    assert files <= shown.keys()
    for name in files:
        assert shown[name]["data"] == json.loads((pipeline.folder / name).read_text())


def test_every_figure_is_a_plot_that_dvc_shows(pipeline: Pipeline) -> None:
    pipeline.dvc("plots", "show", "--out", "shown")
    page = (pipeline.folder / "shown" / "index.html").read_text()
    for picture in (pipeline.folder / "plots").glob("*.png"):
        assert picture.stem in page
    for figure in ("loss", "accuracy", "confusion"):
        assert f'"text": "{figure}"' in page


@pytest.mark.parametrize(
    ("name", "old", "new", "stages"),
    [
        ("params.yaml", "gallery: 5", "gallery: 6", {"evaluate"}),
        ("digits/figures.py", "Figures as", "Pictures as", {"evaluate"}),
        ("digits/training.py", "Stochastic", "Steepest", {"train"}),
        ("digits/split.py", "The split", "A split", {"prepare"}),
        ("digits/answers.py", "True labels", "Labels", {"download", "score"}),
        ("params.yaml", "mode: portable", "mode: machine", {"train", "evaluate", "predict"}),
        ("stages/predict.py", "network's", "model's", {"predict"}),
    ],
)
def test_an_edit_touches_only_the_stages_that_use_it(
    pipeline: Pipeline, name: str, old: str, new: str, stages: set[str]
) -> None:
    pipeline.edit(name, old, new)
    changed = pipeline.changed()
    pipeline.edit(name, new, old)
    assert changed == stages


def test_the_learning_rate_reruns_training_and_what_follows(pipeline: Pipeline) -> None:
    pipeline.edit("params.yaml", "lr: 0.1", "lr: 0.0001")
    assert pipeline.repro() == ["train", "evaluate", "predict", "score"]
    pipeline.edit("params.yaml", "lr: 0.0001", "lr: 0.1")
    assert pipeline.repro() == []


def test_what_is_wrong_in_the_input_ends_in_one_line(pipeline: Pipeline) -> None:
    pipeline.edit("params.yaml", "classes: 3", "classes: 2")
    ran = pipeline.attempt(sys.executable, "-m", "stages.prepare")
    pipeline.edit("params.yaml", "classes: 2", "classes: 3")
    assert ran.returncode == 1
    assert ran.stderr == (
        "error: data/mnist/train.csv: row 4, column 1 (label): '2'; "
        "expected a whole number from 0 to 1\n"
    )
