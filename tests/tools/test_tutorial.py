"""The tutorial run on other images, quickly, and on the real ones, to the last character."""

import ast
import csv
import re
import shutil
import traceback
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from digits.data.answers import ANSWERS, write_answers
from digits.data.tensors import PREPARED
from digits.errors import InputError
from tests.sandbox import ROOT, Proof, Sandbox, draw_images, snapshot
from tools.tutorial import DOCUMENT, PICTURES, copy_results, fill, rebuild, write

TEXT = (ROOT / DOCUMENT).read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```\n", TEXT, re.MULTILINE | re.DOTALL)
DRAWN = set(re.findall(rf'Path\("{PICTURES}/([a-z]+\.png)"\)', TEXT))


def without_commands(text: str) -> str:
    return re.sub(r"^```console\n.*?^```\n", "", text, flags=re.MULTILINE | re.DOTALL)


def without_outputs(text: str) -> str:
    """Return a document without what its code and its commands print."""
    text = re.sub(r"^```text\n.*?^```\n", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks = re.compile(r"^```console\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
    return blocks.sub(lambda block: "\n".join(re.findall(r"^\$ .*", block[1], re.MULTILINE)), text)


def test_what_a_block_prints_stands_after_it() -> None:
    text = "Add:\n\n```python\nx = 1\n```\n\nand:\n\n```python\nprint(x + 1, '  ')\n```\n\nEnd.\n"
    filled = fill(text)
    assert filled == text.replace("\n\nEnd", "\n\n```text\n2\n```\n\nEnd")
    assert fill(filled) == filled
    assert fill(filled.replace("2\n", "3\n")) == filled


def test_a_block_that_prints_no_more_has_no_output() -> None:
    assert fill("```python\nx = 1\n```\n\n```text\n1\n```\n\nEnd.\n") == (
        "```python\nx = 1\n```\n\nEnd.\n"
    )


def test_what_a_command_prints_stands_after_it() -> None:
    text = "```console\n$ printf 'a \\n\\nb\\n'\nold\n$ true\n$ echo c >&2\n```\n"
    filled = "```console\n$ printf 'a \\n\\nb\\n'\na\n\nb\n$ true\n$ echo c >&2\nc\n```\n"
    assert fill(text) == filled
    assert fill(filled) == filled


def test_other_blocks_are_left_alone() -> None:
    text = "```yaml\na: 1\n```\n\n```text\n1\n```\n\n    $ false\n"
    assert fill(text) == text


def test_a_command_that_fails_is_named_with_its_row() -> None:
    with pytest.raises(
        InputError,
        match=r"^docs/tutorial.md: row 4: \$ echo a; false: status 1, a; expected status 0$",
    ):
        fill("Look:\n\n```console\n$ echo a; false\n```\n")


def test_code_that_fails_is_shown_with_its_row() -> None:
    with pytest.raises(ZeroDivisionError) as error:
        fill("Look:\n\n```python\nx = 0\n1 / x\n```\n")
    [*_, frame] = traceback.extract_tb(error.tb)
    assert (frame.filename, frame.lineno) == (str(DOCUMENT), 5)


def test_the_code_of_the_tutorial_runs_on_other_images(project: Path) -> None:
    Path("recipes").mkdir()
    shutil.copy("params.yaml", "recipes/seed.yaml")
    write_answers(ANSWERS, *draw_images(12, seed=1))
    text = fill(without_commands(TEXT))
    assert {path.name for path in PICTURES.iterdir()} == DRAWN
    assert without_outputs(text) == without_outputs(without_commands(TEXT))
    assert "90 images of 16 pixels" in text
    assert "on 12 rows" in text


@pytest.mark.parametrize("code", CODE)
def test_code_can_be_pasted_into_python(code: str) -> None:
    # At its prompt an empty line ends a block, and nothing else does.
    for node, following in pairwise(ast.parse(code).body):
        lines = code.splitlines()[node.lineno - 1 : following.lineno - 1]
        if isinstance(node, ast.For | ast.FunctionDef):
            assert lines[-1] == ""
            assert "" not in lines[: (node.end_lineno or 0) - node.lineno + 1]


def test_every_picture_is_drawn_shown_and_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / PICTURES).iterdir()}
    assert sizes.keys() == DRAWN
    assert set(re.findall(r"!\[.+\]\(tutorial/([a-z]+\.png)\)", TEXT)) == DRAWN
    assert max(sizes.values()) < 100_000
    assert sum(sizes.values()) < 400_000


def test_a_result_that_dvc_does_not_have_is_named(tmp_path: Path) -> None:
    md5 = "a" * 32
    (tmp_path / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  predict:\n    cmd: x\n    outs:\n"
        f"    - {{path: kept.json, md5: {md5}}}\n    - {{path: submission.csv, md5: {md5}}}\n"
    )
    for folder in (tmp_path, tmp_path / "copy"):
        (folder / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / "copy" / "kept.json").touch()
    with pytest.raises(InputError, match=r"^submission.csv: no such file; expected what `make re"):
        copy_results(tmp_path, tmp_path / "copy")


def test_pictures_that_are_drawn_no_more_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("text\n", {"a.png": b"a", "b.png": b"b"})
    write("other\n", {"b.png": b"c"})
    found = {str(path): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {
        str(tmp_path / DOCUMENT): "other\n",
        str(tmp_path / PICTURES / "b.png"): "c",
    }


@pytest.fixture
def box(proof: Proof) -> Iterator[Sandbox]:
    """Yield a sandbox in which the pipeline has run, with the tutorial, and put it back."""
    folder = proof.box.folder
    added = {DOCUMENT: ROOT / DOCUMENT, Path("recipes/seed.yaml"): folder / "params.yaml"}
    for path, source in added.items():
        (folder / path).parent.mkdir()
        shutil.copy(source, folder / path)
    yield proof.box
    for path in added:
        shutil.rmtree(folder / path.parent)


@pytest.mark.long
def test_the_tutorial_runs_on_synthetic_images_and_leaves_the_project_alone(box: Sandbox) -> None:
    before = snapshot(box.folder)
    text, pictures = rebuild(box.folder)
    assert snapshot(box.folder) == before
    assert pictures.keys() == DRAWN
    assert without_outputs(text) == without_outputs(TEXT)
    assert re.search(r"^params.yaml  train.lr  0.01    0.05$", text, re.MULTILINE)
    stages = re.findall(r"Running stage '(\w+)'", text)
    assert stages == ["train", "evaluate", "predict", "score", "report"]
    # What is done by hand comes to what the stages come to.
    by_hand = re.findall(r"^epoch \d: validation accuracy (.*)$", text, re.MULTILINE)
    curves = csv.DictReader((box.folder / "plots" / "training.csv").read_text("utf-8").splitlines())
    assert by_hand == [f"{float(row['validation_accuracy']):.4f}" for row in curves]


@pytest.mark.long
@pytest.mark.skipif(not (ROOT / PREPARED).exists(), reason="it shows what `make repro` makes")
def test_the_tutorial_shows_what_comes_out_to_the_last_character() -> None:
    text, pictures = rebuild(ROOT)
    assert text == TEXT
    assert pictures == {path.name: path.read_bytes() for path in (ROOT / PICTURES).iterdir()}
