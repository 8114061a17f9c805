"""The page and the model card, filled in from their templates in web/ with Jinja2.

The page shows what a network gets wrong; its scripts, the images and the network stand in it. The
card, Markdown under a head of YAML that model hubs read, has the sections of Mitchell et al. (2019,
"Model cards for model reporting").
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from math import isnan
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from digits.data.tensors import Statistics
from digits.evaluation.measures import by_class, wilson_interval
from digits.files import replacing
from digits.network.views import view_maps
from digits.params import Params, as_yaml
from digits.recogniser import Recogniser
from digits.report.charts import chart_accuracy, chart_losses, chart_reliability
from digits.report.sheet import Sheet

WEB = Path(__file__).parent / "web"
SCRIPTS = ("images.js", "network.js", "drawing.js", "page.js")
MOST_BYTES = 1_900_000  # of the networks in a page, which base64 makes a third more
FILTERED = 1  # what zlib calls the strategy that suits numbers, of which few are large
# What begins or ends anything but text within a line.
_MARKUP = re.compile(r"[\\`*_\[<&|~]")


class Tally(NamedTuple):
    """How many images were answered, and how many of them wrong."""

    rows: int
    errors: int

    @property
    def accuracy(self) -> float:
        """The share of right answers, from 0 to 1."""
        return (self.rows - self.errors) / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy."""
        return wilson_interval(self.rows - self.errors, self.rows)


@dataclass(frozen=True)
class Report:
    """What page and card say; the templates read it by these names."""

    params: Params
    statistics: Statistics
    names: Sequence[str]  # of the classes
    rows: Mapping[str, int]  # of training, validation and test
    copies: Mapping[str, int]  # of images on both sides: validation_in_training, test_in_labelled
    score: Tally  # of the test images whose label is known
    validation: Tally
    doubted: int  # of the misclassified validation images
    confusion: NDArray[np.int64]  # of validation, actual (rows) by predicted class (columns)
    sheet: Sheet
    tables: Mapping[str, pd.DataFrame]  # training, reliability and calibration, of plots/
    recogniser: Recogniser
    logits: NDArray[np.float32]  # of the first test images, (rows, classes)
    first_line: int  # of row index 0 in the labelled file
    md5: str  # of the network, as dvc.lock has it

    @property
    def architecture(self) -> str:
        """The widths of the network's layers, from the pixels to the classes."""
        widths = (self.statistics.pixels, *self.params.train.widths, len(self.names))
        return "-".join(map(str, widths))

    @property
    def description(self) -> str:
        """In a few sentences, which network this is, and on which data."""
        train, data = self.params.train, self.params.data
        networks = f"{train.networks} networks" if train.networks > 1 else "A network"
        training, validation = self.rows["training"], self.rows["validation"]
        images = f"all {training + validation:,} images in {data.train}"
        if train.rows == "train":
            others = f"the {validation:,} others are for validation"
            images = f"{training:,} of the images in {data.train}; {others}"
        return (
            f"{networks} {self.architecture}, trained for {train.epochs} epochs in batches of "
            f"{train.batch_size} with a learning rate of {train.lr:g} ({train.schedule}), "
            f"on {images}. Test images: {data.test}."
        )


def embed(recogniser: Recogniser) -> tuple[bytes, int]:
    """Return as many networks as a page has room for, all, one or none, and how many these are.

    They are the bytes of their file, packed.
    """
    for networks in dict.fromkeys((len(recogniser.networks), 1)):  # of a lone one, once
        packed = pack(recogniser.first(networks).encode())
        if len(packed) <= MOST_BYTES:
            return packed, networks
    return b"", 0


def pack(content: bytes) -> bytes:
    """Return bytes as the only line of a PNG.

    Browsers can unpack it, and the same Pillow packs it into the same bytes, which the many
    versions of zlib do not.
    """
    line, file = Image.frombytes("P", (len(content), 1), content), BytesIO()
    line.putpalette(bytes(3 * 256))  # of fewer colours than that, it would keep fewer bits
    line.save(file, "png", compress_type=FILTERED)
    return file.getvalue()


def templates() -> Environment:
    """Return what fills in templates: in pages, all that is put in appears as text."""
    environment = Environment(
        loader=FileSystemLoader(WEB),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=lambda name: name is not None and name.endswith(".html"),
    )
    environment.filters |= {
        "base64": lambda content: b64encode(content).decode(),
        "grouped": "{:,}".format,
        "markdown": _as_markdown,
        "percent": lambda share: "\N{EN DASH}" if isnan(share) else f"{share * 100:.2f} %",
        "yaml": as_yaml,
    }
    return environment


def _as_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is, in one line: a new one could begin a block."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def write_report(report: Report, page: Path, card: Path) -> None:
    """Write the page and the model card."""
    script = "\n".join(map(_source, SCRIPTS))
    weights, networks = embed(report.recogniser)
    train = Path(report.params.data.train)
    values = {
        "weights": weights,
        "networks": networks,
        "maps": view_maps(report.recogniser.description.views)[1:].tolist(),  # of other views
        "logits_sha256": sha256(report.logits.astype("<f4").tobytes()).hexdigest(),
        "report": report,
        "images": train.parent.name or "train",
        "file": train.name,
        "by_class": by_class(report.confusion, report.names),
        "most_confused": (report.confusion - np.diag(report.confusion.diagonal())).max(),
        "losses": chart_losses(report.tables["training"]),
        "accuracy": chart_accuracy(report.tables["training"]),
        "reliability": chart_reliability(report.tables["reliability"]),
        "style": Markup(_source("style.css")),
        "script": Markup(script),
        "script_hash": sha256(script.encode()).digest(),
    }
    for path, name in ((page, "page.html"), (card, "card.md")):
        with replacing(path) as temporary:
            text = templates().get_template(name).render(values)
            temporary.write_text(text, encoding="utf-8")


def _source(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")
