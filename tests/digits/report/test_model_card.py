from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from markdown_it.token import Token
from ruamel.yaml import YAML

from digits.report.model_card import write_card

SCORE = {"rows": 28000, "accuracy": 0.98, "interval_95": {"low": 0.978, "high": 0.982}}
VALUES: dict[str, Any] = {
    "network": "784-2",
    "images": "mnist",
    "description": "A network 784-2.",
    "names": ["a|b", "<script>"],
    "side": 28,
    "mean": 33.5,
    "std": 78.25,
    "class_rows": [1234, 0],
    "recall": {0: 0.5},
    "precision": {0: 1.0, 1: 0.25},
    "prepared": {
        "rows": {"training": 35000, "validation": 7000, "test": 28000},
        "copies": {"validation_in_training": 0, "test_in_labelled": 0},
    },
    "score": SCORE,
    "evaluation": {
        "rows": 7000,
        "held_out": True,
        "accuracy": 0.9812857142857143,
    },
    "calibration": {
        "raw": {"expected_calibration_error": 0.1},
        "scaled": {"expected_calibration_error": 0.004},
        "temperature": 0.5,
    },
}


def write(tmp_path: Path, **changes: Any) -> tuple[dict[str, Any], str]:
    """Return the head and the text of a card."""
    write_card(tmp_path / "README.md", VALUES | changes)
    _, head, text = (tmp_path / "README.md").read_text(encoding="utf-8").split("---\n", maxsplit=2)
    found: dict[str, Any] = YAML(typ="safe").load(head)
    return found, text


def test_its_head_tells_hubs_the_results(tmp_path: Path) -> None:
    head, _ = write(tmp_path)
    [index] = head["model-index"]
    found = {
        result["dataset"]["split"]: result["metrics"][0]["value"] for result in index["results"]
    }
    assert found == {"test": 0.98, "validation": 0.9812857142857143}
    assert {result["dataset"]["name"] for result in index["results"]} == {"mnist"}
    assert head["pipeline_tag"] == "image-classification"


def test_it_says_how_good_the_network_is_and_what_goes_in(tmp_path: Path) -> None:
    _, text = write(tmp_path)
    assert "| 28,000 test images | 98.00 % | 97.80 % to 98.20 % |" in text
    assert "| 7,000 validation images | 98.13 % | |" in text
    assert "less 33.5 and divided by\n78.25" in text


def test_a_network_without_a_test_score_has_none_in_its_card(tmp_path: Path) -> None:
    head, text = write(tmp_path, score={"rows": 0})
    assert len(head["model-index"][0]["results"]) == 1
    assert "test images |" not in text


def test_rows_that_were_trained_on_are_said_to_be(tmp_path: Path) -> None:
    evaluation = deepcopy(VALUES["evaluation"]) | {"held_out": False}
    _, text = write(tmp_path, evaluation=evaluation)
    assert "validation images, which it was trained on |" in text


def test_a_class_has_its_rows_and_a_dash_for_a_share_of_nothing(tmp_path: Path) -> None:
    _, text = write(tmp_path)
    assert r"| a\|b | 1,234 | 50.00 % | 100.00 % |" in text
    assert "script> | 0 | \N{EN DASH} | 25.00 % |" in text


def test_it_says_how_many_images_are_on_both_sides(tmp_path: Path) -> None:
    copies = {"validation_in_training": 12, "test_in_labelled": 3456}
    _, text = write(tmp_path, prepared=VALUES["prepared"] | {"copies": copies})
    assert "12 of the 7,000 validation images are among the training images" in text
    assert "3,456 of the 28,000 test images among the labelled ones: the figures are too" in text
    assert "the figures are too good" not in write(tmp_path)[1]


HOSTILE = [
    *(
        "<b>x</b>",
        "a|b",
        "\\|",
        "a\\",
        "[a](https://b.c)",
        "![a](b)",
        "<https://a.b>",
        "https://a.b",
    ),
    *(
        "*a*",
        "**a**",
        "_a_",
        "a_b",
        "~~a~~",
        "`a`",
        "&amp;",
        "# a",
        "- a",
        "1. a",
        "www.a.b",
        "a@b.c",
    ),
    *("<!-- a", "[a]: b", "\\<b>", "$a$", ":a:", "{{ 7 * 7 }}", "a<b & c: d", "|", "```", "---"),
]


def render(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def inline(text: str) -> list[list[tuple[str, str]]]:
    """Return kind and content of what stands in each block of text."""
    blocks = [token.children for token in render(text) if token.children is not None]
    return [[(one.type, one.content) for one in block] for block in blocks]


def test_whatever_is_put_in_is_text(tmp_path: Path) -> None:
    harmless = [f"class {number}" for number in range(len(HOSTILE))]
    classes = {"class_rows": [7] * len(HOSTILE), "recall": {}, "precision": {}}
    _, plain = write(tmp_path, names=harmless, **classes)
    _, text = write(tmp_path, names=HOSTILE, **classes)
    assert [token.type for token in render(text)] == [token.type for token in render(plain)]
    names = iter(HOSTILE)
    expected = [
        [("text", next(names))] if block and block[0][1].startswith("class ") else block
        for block in inline(plain)
    ]
    assert inline(text) == expected
    assert list(names) == []


def test_a_path_with_markup_in_it_is_text_in_one_line(tmp_path: Path) -> None:
    _, plain = write(tmp_path)
    path = "a\n# b\n\n- *c* <d>\r\n===\n    e"
    _, text = write(tmp_path, description=path)
    assert [token.type for token in render(text)] == [token.type for token in render(plain)]
    assert [("text", " ".join(path.splitlines()))] in inline(text)


@pytest.mark.parametrize("name", ["https://a.b", "www.a.b", "WWW.a.b", "a@b.c", "$a$", ":a:"])
def test_what_some_dialects_alone_know_is_escaped(tmp_path: Path, name: str) -> None:
    _, text = write(tmp_path, names=[name, "b"])
    assert name not in text
    assert name in text.replace("\\", "")


def test_what_is_missing_is_an_error_and_leaves_the_card_before(tmp_path: Path) -> None:
    write_card(tmp_path / "README.md", VALUES)
    with pytest.raises(UndefinedError):
        write_card(tmp_path / "README.md", {key: VALUES[key] for key in VALUES if key != "side"})
    assert "28,000" in (tmp_path / "README.md").read_text()
