"""README and docs held against what is there: links, commands and figures."""

import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.sandbox import ROOT

LISTED = subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).split()
PAGES = [Path(name) for name in LISTED if name != "CHANGELOG.md"]
TARGETS = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def read(path: Path) -> str:
    return (ROOT / path).read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", read(page))
    assert [link for link in links if not (ROOT / page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_target_and_command_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"(?:`|^    (?:\$ )?)make ([a-z-]+)", read(page), re.MULTILINE)
    assert set(named) <= set(TARGETS)
    modules = re.findall(r"python -m (digits|tools|stages|studies|benchmarks)(\.\w+)?", read(page))
    files = {f"{package}{module.replace('.', '/')}" for package, module in modules}
    assert [
        one
        for one in files
        if not any((ROOT / f"{one}{end}").exists() for end in (".py", "/__main__.py"))
    ] == []


@pytest.mark.parametrize("package", ["tools", "digits", "benchmarks"])
def test_every_sub_command_that_a_page_names_exists(package: str) -> None:
    named = {
        name for page in PAGES for name in re.findall(rf"python -m {package} ([a-z]+)", read(page))
    }
    told = subprocess.check_output([sys.executable, "-m", package, "--help"], cwd=ROOT, text=True)
    assert [name for name in named if not re.search(rf"\b{name}\b", told)] == []


def test_every_target_is_in_the_readme_or_the_docs() -> None:
    pages = "".join(map(read, PAGES))
    assert [target for target in TARGETS if f"make {target}" not in pages] == []
    assert len(TARGETS) == 13


def test_every_extra_is_in_the_docs_and_every_package_of_one_is_pinned() -> None:
    project = tomllib.loads(read(Path("pyproject.toml")))["project"]
    pages = "".join(map(read, PAGES)) + read(Path("Makefile"))
    pins = set(re.findall(r"^([a-z0-9-]+)==", read(Path("constraints.txt")), re.MULTILINE))
    for extra, packages in {
        "": project["dependencies"],
        **project["optional-dependencies"],
    }.items():
        assert re.search(rf"\b{extra}\b", pages)
        assert {re.sub("[-_.]+", "-", one.lower()) for one in packages} <= pins


@pytest.mark.long
@pytest.mark.skipif(not (ROOT / "submission.csv").exists(), reason="no results: `make repro`")
def test_the_example_for_other_runtimes_answers_as_the_submission(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra export")
    monkeypatch.chdir(ROOT)
    subprocess.run([sys.executable, "-m", "digits", "export"], check=True)
    block = re.search(
        r"^    import numpy.*?\n(?=\nPixels)", read(Path("docs/using.md")), re.MULTILINE | re.DOTALL
    )
    assert block
    with np.printoptions(threshold=sys.maxsize):
        exec(textwrap.dedent(block[0]), {})
    answers = re.findall(r"\d", capsys.readouterr().out)
    submitted = [line[-1] for line in Path("submission.csv").read_text().splitlines()[1:]]
    same = sum(map(str.__eq__, answers, submitted))
    assert same >= len(submitted) - 50  # the others differ by what the pipeline rounds


def test_the_readme_is_short_and_its_figures_are_those_of_the_results() -> None:
    readme, results = read(Path("README.md")), read(Path("docs/results.md"))
    assert len(readme.splitlines()) <= 130
    rows = re.findall(
        r"^\| `(\w+)`.*? \| ([\d.]+) \| ([\d.]+) \| (\d[\d.]*) \|$", readme, re.MULTILINE
    )
    assert len(rows) == 6
    for recipe, validation, test, seconds in rows:
        line = rf"^\| `recipes/{recipe}.yaml` \| {validation}.* \| {test} .* \| {seconds} \| "
        assert re.search(line, results, re.MULTILINE), recipe
