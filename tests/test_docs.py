"""README, docs and CI held against what is there: links, commands and figures."""

import json
import re
import subprocess
import sys
import textwrap
import tomllib
import types
from dataclasses import asdict
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import stages
from tests.sandbox import ROOT
from tests.strokes import draw

LISTED = subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).split()
TEXTS = {Path(name): (ROOT / name).read_text("utf-8") for name in LISTED if name != "CHANGELOG.md"}
PAGES = "".join(TEXTS.values())
README = TEXTS[Path("README.md")]
CI = [(ROOT / name).read_text("utf-8") for name in (".ci/run", ".github/workflows/ci.yml")]
TARGETS = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", TEXTS, ids=str)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", TEXTS[page])
    assert [link for link in links if not (ROOT / page.parent / link).exists()] == []
    code = re.findall(r"`((?:digits|stages|tools|tests|studies|recipes)/[a-z\d_/.]*)`", TEXTS[page])
    assert [path for path in code if not (ROOT / path).exists()] == []


def test_targets_and_commands_that_pages_and_ci_name_are_those_that_there_are() -> None:
    named = re.findall(r"(?:`|^    (?:\$ )?)make ([a-z]+)", PAGES, re.MULTILINE)
    assert set(named) == set(TARGETS)
    for text in CI:
        run = re.findall(r"^(?: *- run: | *run: )?make (?:--silent )?([a-z]+)", text, re.MULTILINE)
        assert {"check", "test", "verify"} <= set(run) <= set(TARGETS)
    names = re.findall(r"python -m ((?:digits|tools|stages|studies|benchmarks)[\w.]*)", PAGES)
    files = product({name.replace(".", "/") for name in names}, (".py", "/__main__.py"))
    there = {name for name, end in files if (ROOT / f"{name}{end}").exists()}
    assert there == {name.replace(".", "/") for name in names}


@pytest.mark.parametrize("package", ["tools", "digits", "benchmarks"])
def test_every_sub_command_that_a_page_names_exists(package: str) -> None:
    told = subprocess.check_output([sys.executable, "-m", package, "--help"], cwd=ROOT, text=True)
    named = set(re.findall(rf"python -m {package} ([a-z]+)", PAGES))
    assert named <= set(re.findall(r"\w+", told))


def test_every_extra_is_in_the_docs_and_every_package_of_one_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    constraints = (ROOT / "constraints.txt").read_text("utf-8")
    pins = set(re.findall(r"^([a-z0-9-]+)==", constraints, re.MULTILINE))
    extras = project["optional-dependencies"]
    assert [extra for extra in extras if not re.search(rf"\b{extra}\b", PAGES)] == []
    packages = {*project["dependencies"]}.union(*extras.values())
    assert {name.replace(".", "-").replace("_", "-") for name in packages} <= pins


@pytest.mark.long
@pytest.mark.skipif(not (ROOT / "submission.csv").exists(), reason="no results: `make repro`")
def test_the_service_answers_pictures_and_refuses_others_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    testclient = pytest.importorskip("fastapi.testclient", reason="the extra service")
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(re.findall("```python\n(.*?)```", TEXTS[Path("docs/using.md")], re.DOTALL)[0], names)
    draw(4).save(picture := BytesIO(), "png")
    client = testclient.TestClient(names["app"])
    expected = [asdict(names["recogniser"].predict(picture.getvalue()))]
    expected[0]["place"] = list(expected[0]["place"])
    answered = client.post("/digits", content=picture.getvalue())
    assert (answered.status_code, answered.json()) == (200, expected)
    refused = client.post("/digits", content=b"text")
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("picture: no picture of a format that is read")


@pytest.mark.long
@pytest.mark.skipif(not (ROOT / "submission.csv").exists(), reason="no results: `make repro`")
def test_the_examples_for_other_places_answer_as_the_submission_and_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra export")
    monkeypatch.chdir(ROOT)
    subprocess.run([sys.executable, "-m", "digits", "export"], check=True)
    names: dict[str, Any] = {}
    _, section = TEXTS[Path("docs/using.md")].split("\n## From a program of your own\n")
    lines = re.sub("```.*?```", "", section.split("\n## ")[0], flags=re.DOTALL).splitlines(True)
    shown = [line for line in lines if line.startswith("    ") and "$" not in line]
    exec(textwrap.dedent("".join(shown)), names)
    predicted = pd.read_csv("data/predictions/test.csv").filter(like="probability_")
    shares = [list(one.probabilities.values()) for one in names["answers"]]
    assert shares == predicted.to_numpy()[:200].tolist()
    wrong = json.loads(Path("metrics/evaluation.json").read_text())["errors"]
    table = names["table"]
    assert (table["label"] != table["prediction"]).sum() == wrong
    submitted = np.loadtxt("submission.csv", np.int64, delimiter=",", skiprows=1)[:, 1]
    assert (names["logits"].argmax(axis=1) == submitted).all()
    assert (
        names["session"].run(["logits"], names["images"])[0].tobytes() == names["logits"].tobytes()
    )


@pytest.mark.usefixtures("project")
def test_the_stage_of_the_guide_does_what_its_test_says(monkeypatch: pytest.MonkeyPatch) -> None:
    code, test = re.findall(r"```python\n(.*?)```", TEXTS[Path("CONTRIBUTING.md")], re.DOTALL)
    stage, names = types.ModuleType("stages.count"), dict[str, Any]()
    exec(code, vars(stage))
    monkeypatch.setattr(stages, "count", stage, raising=False)
    exec(test, names)
    [check] = [value for name, value in names.items() if name.startswith("test_")]
    check()


def test_the_readme_is_short_and_its_figures_are_those_of_the_results() -> None:
    assert len(README.splitlines()) <= 130
    row = re.compile(r"^\| `(\w+)`.*? \| ([\d.]+) \| ([\d.]+) \| (\d[\d.]*) \|$", re.MULTILINE)
    rows = row.findall(README)
    assert len(rows) == len(re.findall(r"^\| `\w+`", README, re.MULTILINE)) > 0
    for recipe, validation, test, seconds in rows:
        line = rf"^\| `recipes/{recipe}.yaml` \| {validation}.* \| {test} .* \| {seconds} \| "
        assert re.search(line, TEXTS[Path("docs/results.md")], re.MULTILINE), recipe


def test_every_python_that_the_readme_names_is_checked_by_ci() -> None:
    [[first, last]] = re.findall(r"Python 3\.(\d+) to 3\.(\d+)", README)
    versions = ", ".join(f'"3.{minor}"' for minor in range(int(first), int(last) + 1))
    assert f"python: [{versions}]\n" in CI[1]
