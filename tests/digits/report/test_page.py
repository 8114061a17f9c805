import json
import re
import zlib
from base64 import b64decode
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from struct import pack, unpack_from
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from digits.data.tensors import Statistics
from digits.network.model import MLP
from digits.params import Params, Predict
from digits.recogniser import Description, Recogniser
from digits.report.page import Report, Tally, write_report
from digits.report.sheet import Sheet
from stages.report import COLUMNS
from tests.conftest import draw_novelty, tiny_params

DESCRIPTION = Description(
    widths=(16, 2),
    networks=1,
    recipe="own",
    classes=("a|b", "<script>"),
    statistics=Statistics(mean=33.5, std=78.25, pixels=16, straightened=True),
    views=Predict(rotation=0.0, scale=0.0, shear=0.0, shift=1.0),
    temperature=0.5,
)


def draw_recogniser(description: Description) -> Recogniser:
    """Draw networks, whose weights are as small and as rarely large as those that train leaves."""
    generator, networks = np.random.default_rng(0), []
    for _ in range(description.networks):
        shapes = [(outputs, inputs) for inputs, outputs in pairwise(description.widths)]
        weights = [generator.laplace(0, shape[1] ** -0.5, shape) for shape in shapes]
        biases = [generator.normal(0, 1, outputs) for outputs, _ in shapes]
        layers = zip(weights, biases, strict=True)
        networks.append(MLP.of([(w.astype(np.float32), b.astype(np.float32)) for w, b in layers]))
    return Recogniser(networks, description, draw_novelty(description.widths))


TABLES = {
    "training": [[0.5, 0.6, 0.98]],
    "reliability": [[467, 0.9, 0.8, 0.8, 0.8]],
    "calibration": [[0.5] * 3, [0.4] * 3],
}
REPORT = Report(
    params=Params.model_validate(tiny_params({"data.train": "mnist/train.csv"})),
    statistics=DESCRIPTION.statistics,
    names=DESCRIPTION.classes,
    rows={"training": 35000, "validation": 7000, "test": 28000},
    copies={"validation_in_training": 0, "test_in_labelled": 0},
    score=Tally(28000, 560),
    validation=Tally(7000, 131),
    doubted=13,
    confusion=np.array([[617, 617], [0, 0]]),
    sheet=Sheet(b"png", [(1, 0, 7, [[0, 900], [1, 100]])], [0], [[0, 1, 0, 7, "training", 1, 2]]),
    tables={
        name: pd.DataFrame(rows, columns=COLUMNS[name].split()) for name, rows in TABLES.items()
    },
    recogniser=draw_recogniser(DESCRIPTION),
    logits=np.arange(4, dtype=np.float32).reshape(2, 2),
    first_line=2,
    md5="ed7f2d28",
)
LOGITS_SHA256 = sha256(pack("<4f", 0.0, 1.0, 2.0, 3.0)).hexdigest()
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
        (
            {},
            "<b>98.00 %</b>, 97.83 % to 98.16 % (95 % interval), 28,000 images",
            "less 33.5 and divided by 78",
        ),
        (
            {},
            "<b>98.13 %</b> 97.78 % to 98.42 % (95 % interval), 131 of 7,000 images wrong",
            "| 7,000 validation images | 98.13 % | 97.78 % to 98.42 % |",
        ),
        ({}, "<code>git log --oneline -S ed7f2d28 -- dvc.lock</code>", ""),
        ({}, "<b>mnist</b> mnist/train.csv: 35,000 images", "choose by the validation images"),
        ({}, "<b>params of its own</b> 16-8-2<", "# 16-8-2\n"),
        ({}, 'aria-label="actual a|b, predicted &lt;script&gt;: 617" style="--share: 1.00">', ""),
        (
            {"confusion": np.array([[617, 200], [50, 300]])},
            'predicted a|b: 50" style="--share: 0.25">',
            "",
        ),
        ({}, "the network was too modest, by 50.0 points", ""),
        ({}, "<b>13 of 131</b> of these", "| 28,000 test images | 98.00 % | 97.83 % to 98.16 % |"),
        ({}, "<td>1,234</td><td>50.00 %</td>", r"| a\|b | 1,234 | 50.00 % | 100.00 % |"),
        ({}, f"<td>0</td><td>{DASH}</td>", f"| 0 | {DASH} | 0.00 % |"),
        ({}, 'id="paper"', "learning rate of 0.1 (constant), on 35,000 of the images in mnist"),
        ({}, "<p>The network runs in this page", f"\n    {LOGITS_SHA256}\n"),
        (
            {"names": list("ab") * 26, "confusion": np.eye(52, dtype=np.int64)},
            "52 classes are too many",
            "for each of 52 classes",
        ),
        (
            {"params": Params.model_validate(tiny_params({"train.rows": "all"}))},
            "nothing on this page that is said of them is held out",
            "7,000 validation images, which it was trained on | 98.13 % | |",
        ),
        (
            {"params": Params.model_validate(tiny_params({"train.rows": "all"}))},
            "<b>train</b> train.csv: 42,000 images to train on, 7,000 of them for validation",
            "",
        ),
        (
            {"params": Params.model_validate(tiny_params({"train.rows": "all"}))},
            "probabilities on this page are as the network gives them",
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


def embedded(html: str) -> bytes:
    """Return what a PNG in a page holds, line by line, whose filter comes before each."""
    [text] = re.findall(r'<script type="text/plain" id="weights">(.*?)</script>', html)
    png, at, parts = b64decode(text), 8, []
    while at < len(png):
        length, kind = unpack_from(">I4s", png, at)
        parts += [png[at + 8 : at + 8 + length]] * (kind == b"IDAT")
        at += 12 + length
    return zlib.decompress(b"".join(parts))


def test_a_page_holds_the_networks_as_they_are_or_the_first_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    description = DESCRIPTION.model_copy(update={"widths": (16, 99, 2), "networks": 3})
    recogniser = draw_recogniser(description)
    params = Params.model_validate(tiny_params({"train.networks": 3}))
    for networks, most, told in (
        (3, 50_000, "<p>The 3 networks run in this page"),
        (1, 5000, "<p>The first of the 3 networks runs in this page"),
    ):
        monkeypatch.setattr("digits.report.page.MOST_BYTES", most)
        html, *_ = write(tmp_path, recogniser=recogniser, params=params)
        assert embedded(html) == b"\0" + recogniser.first(networks).encode()
        assert told in html
    monkeypatch.setattr("digits.report.page.MOST_BYTES", 500)
    html, *_ = write(tmp_path, recogniser=recogniser, params=params)
    assert "The networks are too large to run in a page" in html
    assert 'id="weights"' not in html


def test_a_page_holds_where_all_views_but_the_first_take_their_pixels_from(tmp_path: Path) -> None:
    html, *_ = write(tmp_path)
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html)
    moves = [(1, 0), (-1, 0), (0, 1), (0, -1)]
    assert json.loads(data)["maps"] == [[[1, 0, x], [0, 1, y]] for x, y in moves]


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
