"""The model card: what a network is, how good, and what it is not for, as model hubs show it.

It is Markdown under a head of YAML, with the keys that model hubs read. The idea, and what the
sections are about, are those of Mitchell et al. (2019, "Model cards for model reporting").
"""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruamel.yaml import YAML

from digits.files import replacing

CARD = Path("models/README.md")
SOURCES = Path(__file__).parent / "page"


def write_card(path: Path, values: Mapping[str, Any]) -> None:
    """Write the card; names of classes appear as text, whatever they hold.

    Args:
        path: of the card.
        values: `network`, `images` (what they are called), `description`, `names`, `side`, `mean`,
            `std`, `portable`, and as the metrics have them `score`, `evaluation` and `calibration`.
    """
    environment = Environment(
        loader=FileSystemLoader(SOURCES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    card = environment.get_template("card.md").render(
        values, percent=lambda share: f"{share:.2%}".replace("%", " %")
    )
    head = StringIO()
    YAML().dump(_describe_for_hubs(values), head)
    with replacing(path) as temporary:
        temporary.write_text(f"---\n{head.getvalue()}---\n\n{card}", encoding="utf-8")


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
    accuracy: Sequence[object] = [{"type": "accuracy", "value": metrics["accuracy"]}]
    return {
        "task": {"type": "image-classification"},
        "dataset": {"name": images, "type": "csv", "split": split},
        "metrics": accuracy,
    }
