"""The tutorial run on other images, quickly, and on the real ones, to the last character."""

import csv
import re
import shutil
from pathlib import Path

import pytest

from digits.data.answers import ANSWERS, write_answers
from digits.data.tensors import PREPARED
from digits.errors import InputError
from stages import prepare, train
from tests.sandbox import ROOT, draw_images
from tools.tutorial import DOCUMENT, PICTURES, fill, rebuild

TEXT = (ROOT / DOCUMENT).read_text(encoding="utf-8")
DRAWN = set(re.findall(rf'Path\("{PICTURES}/([a-z]+\.png)"\)', TEXT))


def without_commands(text: str) -> str:
    return re.sub(r"^```console\n.*?^```\n", "", text, flags=re.MULTILINE | re.DOTALL)


def without_outputs(text: str) -> str:
    """Return a document without what its code and its commands print."""
    text = re.sub(r"^```text\n.*?^```\n", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks = re.compile(r"^```console\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
    return blocks.sub(lambda block: "\n".join(re.findall(r"^\$ .*", block[1], re.MULTILINE)), text)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        (
            "```python\nprint(1, '  ')\n```\n\nEnd\n",
            "```python\nprint(1, '  ')\n```\n\n```text\n1\n```\n\nEnd\n",
        ),
        ("```python\nx = 1\n```\n\n```text\n1\n```\n\nEnd\n", "```python\nx = 1\n```\n\nEnd\n"),
        (
            "```console\n$ printf 'a \\n\\nb\\n'\nold\n$ echo c >&2\n```\n",
            "```console\n$ printf 'a \\n\\nb\\n'\na\n\nb\n$ echo c >&2\nc\n```\n",
        ),
    ],
    ids=["code", "silent", "commands"],
)
def test_what_a_block_prints_stands_after_it(text: str, filled: str) -> None:
    assert fill(text) == filled == fill(filled)


def test_a_command_that_fails_is_named_with_its_row() -> None:
    line = r"^docs/tutorial.md: row 4: \$ echo a; false: status 1, a; expected status 0$"
    with pytest.raises(InputError, match=line):
        fill("Look:\n\n```console\n$ echo a; false\n```\n")


def test_the_code_of_the_tutorial_runs_on_other_images(project: Path) -> None:
    Path("recipes").mkdir()
    shutil.copy("params.yaml", "recipes/seed.yaml")
    write_answers(ANSWERS, *draw_images(12, seed=1))
    text = fill(without_commands(TEXT))
    assert {path.name for path in PICTURES.iterdir()} == DRAWN
    assert without_outputs(text) == without_outputs(without_commands(TEXT))
    assert "90 images of 16 pixels" in text
    assert "on 12 rows" in text
    # What is done by hand comes to what the stages come to.
    by_hand = re.findall(r"^epoch \d: validation accuracy (.*)$", text, re.MULTILINE)
    prepare.main()
    train.main()
    curves = csv.DictReader(Path("plots/training.csv").read_text("utf-8").splitlines())
    assert by_hand == [f"{float(row['validation_accuracy']):.4f}" for row in curves]


def test_every_picture_is_drawn_shown_and_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / PICTURES).iterdir()}
    assert sizes.keys() == DRAWN
    assert set(re.findall(r"!\[.+\]\(tutorial/([a-z]+\.png)\)", TEXT)) == DRAWN
    assert max(sizes.values()) < 100_000
    assert sum(sizes.values()) < 400_000


@pytest.mark.long
@pytest.mark.skipif(not (ROOT / PREPARED).exists(), reason="it shows what `make repro` makes")
def test_the_tutorial_shows_what_comes_out_to_the_last_character(tmp_path: Path) -> None:
    rebuild(ROOT, tmp_path / "project")
    for path in (DOCUMENT, *(PICTURES / name for name in DRAWN)):
        assert (tmp_path / "project" / path).read_bytes() == (ROOT / path).read_bytes()
