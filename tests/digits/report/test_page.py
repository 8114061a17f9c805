import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from digits.data.tensors import Statistics
from digits.params import Params
from digits.report.page import Report, Tally, write_report
from digits.report.sheet import Sheet
from stages.report import COLUMNS
from tests.conftest import tiny_params

TABLES = {
    "training": [[0.5, 0.6, 0.98]],
    "reliability": [[467, 0.9, 0.8, 0.8, 0.8]],
    "calibration": [[0.5] * 3, [0.4] * 3],
}
REPORT = Report(
    params=Params.model_validate(tiny_params({"data.train": "mnist/train.csv"})),
    statistics=Statistics(mean=33.5, std=78.25, pixels=16, straightened=True),
    names=("a|b", "<script>"),
    rows={"training": 35000, "validation": 7000, "test": 28000},
    copies={"validation_in_training": 0, "test_in_labelled": 0},
    score=Tally(28000, 560),
    validation=Tally(7000, 131),
    doubted=13,
    confusion=np.array([[617, 0], [617, 0]]),
    sheet=Sheet(b"png", [(1, 0, 7, [[0, 900], [1, 100]])], [0], [[0, 1, 0, 7, "training", 1, 2]]),
    tables={
        name: pd.DataFrame(rows, columns=COLUMNS[name].split()) for name, rows in TABLES.items()
    },
    network=b"abc",
)
DASH = "\N{EN DASH}"


def write(folder: Path, **changes: Any) -> tuple[str, dict[str, Any], str]:
    """Return the page, and the head and the text of the card, of a report with changes."""
    report = replace(REPORT, **changes)
    write_report(report, folder / "index.html", folder / "README.md")
    html, card = ((folder / name).read_text("utf-8") for name in ("index.html", "README.md"))
    _, head, text = card.split("---\n", maxsplit=2)
    return html, YAML(typ="safe").load(head), text


def test_the_head_of_the_card_tells_hubs_the_results_that_there_are(tmp_path: Path) -> None:
    _, head, _ = write(tmp_path)
    [index] = head["model-index"]
    found = {one["dataset"]["split"]: one["metrics"][0]["value"] for one in index["results"]}
    assert found == {"test": 0.98, "validation": 6869 / 7000}
    assert {one["dataset"]["name"] for one in index["results"]} == {"mnist"}
    assert head["pipeline_tag"] == "image-classification"
    html, head, text = write(tmp_path, score=Tally(0, 0))
    assert len(head["model-index"][0]["results"]) == 1
    assert "Test accuracy" not in html
    assert "test images |" not in text


@pytest.mark.parametrize(
    ("changes", "in_page", "in_card"),
    [
        ({}, "<b>98.00 %</b> 97.83 % to 98.16 % (95 %), 28,000 images", "less 33.5 and divided by"),
        ({}, "131 of 7,000 images wrong", "| 7,000 validation images | 98.13 % | |"),
        ({}, "<b>13 of 131</b> of these", "| 28,000 test images | 98.00 % | 97.83 % to 98.16 % |"),
        ({}, "<td>1,234</td><td>50.00 %</td>", r"| a\|b | 1,234 | 50.00 % | 100.00 % |"),
        ({}, f"<td>0</td><td>{DASH}</td>", f"| 0 | {DASH} | 0.00 % |"),
        ({}, 'id="paper"', "learning rate of 0.1 (constant), on 35,000 of the images in mnist"),
        ({"network": bytes(1_500_001)}, "too large to run in a page", ""),
        (
            {"names": list("ab") * 26, "confusion": np.eye(52, dtype=np.int64)},
            "52 classes are too many",
            "for each of 52 classes",
        ),
        (
            {"params": Params.model_validate(tiny_params({"train.rows": "all"}))},
            "nothing on this page that is said of them is held out",
            "on all 42,000 images in train.csv. Test",
        ),
        (
            {"copies": {"validation_in_training": 12, "test_in_labelled": 3456}},
            "too good: 12 of the 7,000 validation images are among the training images as well",
            "3,456 of the 28,000 test images among the labelled ones: the figures are too good",
        ),
    ],
)
def test_page_and_card_say_what_is_in_the_report(
    tmp_path: Path, changes: dict[str, Any], in_page: str, in_card: str
) -> None:
    html, _, text = write(tmp_path, **changes)
    assert in_page in html
    assert in_card in text
    plain, _, plain_text = write(tmp_path)
    assert not changes or in_page not in plain
    assert not changes or not in_card or in_card not in plain_text


HOSTILE = [
    *("<b>x</b>", "a|b", "\\|", "a\\", "![a](b)", "<https://a.b>", "**a**", "a_b", "~~a~~", "`a`"),
    *("&amp;", "# a", "- a", "1. a", "<!-- a", "[a]: b", "{{ 7 * 7 }}", "|", "```", "---"),
]


def render(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the kind of each block, and kind and content of what stands in it."""
    blocks = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [
        (block.type, [(one.type, one.content) for one in block.children or ()]) for block in blocks
    ]


def test_whatever_is_put_in_is_text_in_one_line(tmp_path: Path) -> None:
    counts = np.eye(len(HOSTILE), dtype=np.int64)
    path = "a\n# b\n\n- *c* <d>\r\n===\n    e"
    marks = [f"class{number}" for number in range(len(HOSTILE))]
    texts = {}
    for names, test in ((marks, "plain"), (HOSTILE, path)):
        data = REPORT.params.data.model_copy(update={"test": test})
        params = REPORT.params.model_copy(update={"data": data})
        html, _, texts[test] = write(tmp_path, names=names, confusion=counts, params=params)
    assert "<b>x" not in html
    assert "<d>" not in html
    told = dict(zip(marks, HOSTILE, strict=True)) | {"plain": " ".join(path.split())}
    expected = [
        (
            block,
            [(kind, re.sub("class\\d+|plain", lambda m: told[m[0]], one)) for kind, one in inside],
        )
        for block, inside in render(texts["plain"])
    ]
    assert render(texts[path]) == expected
