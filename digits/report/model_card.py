"""The model card: what a network is, how good, and what it is not for, as model hubs show it.

It is Markdown under a head of YAML, with the keys that model hubs read. The idea, and what the
sections are about, are those of Mitchell et al. (2019, "Model cards for model reporting").
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.files import replacing
from digits.params import as_yaml
from digits.report.page import templates

CARD = Path("models/README.md")
# What begins or ends anything but text within a line, in GitHub's dialect as well.
_MARKUP = re.compile(r"[\\`*_\[<&|~$@]|:(?! )|(?<=www)\.", re.IGNORECASE)


def write_card(path: Path, values: Mapping[str, Any]) -> None:
    """Write the card; whatever `values` hold appears as text.

    Args:
        path: of the card.
        values: `network`, `images` (what they are called), `description`, `names`, `side`, `mean`,
            `std`, `class_rows`, `recall` and `precision` by class, and as the metrics
            have them `prepared`, `score`, `evaluation` and `calibration`.
    """
    template = templates().overlay(finalize=_as_text, trim_blocks=True).get_template("card.md")
    head, card = as_yaml(_describe_for_hubs(values)), template.render(values)
    with replacing(path) as temporary:
        temporary.write_text(f"---\n{head}---\n\n{card}", encoding="utf-8")


def _as_text(value: object) -> str:
    """Return Markdown that shows a value as it is, in one line: a new one could begin a block."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(value).splitlines()))


def _describe_for_hubs(values: Mapping[str, Any]) -> dict[str, object]:
    """Return what hubs list a model by."""
    results = [_result(values["images"], "validation", values["evaluation"])]
    if values["score"]["rows"]:
        results.insert(0, _result(values["images"], "test", values["score"]))
    return {
        "license": "mit",
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["multilayer-perceptron", "safetensors"],
        "metrics": ["accuracy"],
        "model-index": [{"name": values["network"], "results": results}],
    }


def _result(images: str, split: str, metrics: Mapping[str, Any]) -> dict[str, object]:
    return {
        "task": {"type": "image-classification"},
        "dataset": {"name": images, "type": "csv", "split": split},
        "metrics": [{"type": "accuracy", "value": metrics["accuracy"]}],
    }
