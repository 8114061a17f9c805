"""The report: one page that shows what a network gets wrong, and needs nothing but itself.

The page is rendered from page/page.html with Jinja2; its styles and scripts, and the images and the
network that it shows, stand in the page.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open

from digits.errors import expecting
from digits.evaluation.measures import Predictions
from digits.files import replacing
from digits.report.charts import Axis, Series, draw_chart

SOURCES = Path(__file__).parent / "web"
SCRIPTS = ("images.js", "network.js", "drawing.js", "page.js")
MOST_IMAGES = 20_000  # of a page
MOST_SHARES = 10  # of an image's probabilities: the largest
IMAGES_LIMIT, NETWORK_LIMIT = 1_800_000, 1_500_000  # bytes, which base64 makes a third more
MOST_CLASSES = 50  # of a confusion matrix that can be looked at
LEAST_SHARE = 1e-4  # where the axes of the reliability diagram begin


def arrange(predictions: Predictions) -> NDArray[np.int64]:
    """Return all rows: the misclassified, worst first, and then the others, hardest first."""
    wrong, hardest = predictions.misclassified(), predictions.hardest()
    return np.concatenate([wrong, hardest[~np.isin(hardest, wrong)]])


def pack(pictures: NDArray[np.uint8]) -> bytes:
    """Return one PNG file with all pictures, shape (count, side, side), row by row in a square."""
    count, side, _ = pictures.shape
    across = max(ceil(sqrt(count)), 1)
    sheet = np.zeros((across * across, side, side), np.uint8)
    sheet[:count] = pictures
    tiled = sheet.reshape(across, across, side, side).swapaxes(1, 2).reshape(across * side, -1)
    file = BytesIO()
    Image.fromarray(tiled).save(file, format="png")
    return file.getvalue()


def most_that_fit(pictures: NDArray[np.uint8], limit: int = IMAGES_LIMIT) -> int:
    """Return how many of the first pictures `pack` gets into `limit` bytes; at least one."""
    count = len(pictures)
    while count > 1 and (size := len(pack(pictures[:count]))) > limit:
        count = max(int(count * limit / size * 0.99), 1)
    return count


def thousandths(shares: NDArray[np.float64]) -> list[list[int]]:
    """Return shares, from 0 to 1, in thousandths, rounded, in rows."""
    rounded: list[list[int]] = np.rint(shares * 1000).astype(np.int64).tolist()
    return rounded


def largest_shares(shares: NDArray[np.float64]) -> list[list[list[int]]]:
    """Return the largest shares of each row, with their classes, in the order of the classes."""
    likeliest = np.sort(np.argsort(-shares, axis=1, kind="stable")[:, :MOST_SHARES], axis=1)
    parts = thousandths(np.take_along_axis(shares, likeliest, axis=1))
    pairs = zip(likeliest.tolist(), parts, strict=True)
    return [[list(pair) for pair in zip(*columns, strict=True)] for columns in pairs]


def draw_losses(training: Sequence[float], validation: Sequence[float]) -> str:
    """Return the chart of the losses, in nats, by epoch."""
    up = Axis("loss (nats)", 0.0, max(*training, *validation) or 1.0)
    series = [
        Series("training, as minimised", list(enumerate(training, start=1))),
        Series("validation", list(enumerate(validation, start=1))),
    ]
    ends = [f"{one.name} {one.points[0][1]:.3g}, then {one.points[-1][1]:.3g}" for one in series]
    title = f"Loss by epoch: {'; '.join(ends)}"
    return draw_chart(title, _epochs(len(training)), up, series)


def draw_accuracy(validation: Sequence[float]) -> str:
    """Return the chart of the accuracy by epoch."""
    up = Axis("accuracy", min(int(min(validation) * 100) / 100, 0.99), 1.0)
    series = [Series("validation accuracy", list(enumerate(validation, start=1)))]
    title = f"Validation accuracy by epoch: {validation[0]:.4f}, then {validation[-1]:.4f}"
    return draw_chart(title, _epochs(len(validation)), up, series)


def _epochs(count: int) -> Axis:
    return Axis("epoch", 1.0, float(max(count, 2)), whole=True)


def draw_reliability(bins: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return the reliability diagram, of errors: as many as are expected, and as there are.

    Args:
        bins: confidence and accuracy of each, under the name of their kind.
    """
    across = Axis("share of errors that it expects", LEAST_SHARE, 1.0, logarithmic=True)
    up = Axis("share of errors that it makes", LEAST_SHARE, 1.0, logarithmic=True)
    series = [
        Series(name, [(1 - confidence, 1 - accuracy) for confidence, accuracy in pairs], False)
        for name, pairs in bins.items()
    ]
    return draw_chart("Errors expected and made", across, up, series, even=True)


def read_network(path: Path) -> bytes:
    """Return the file of a network, which the page's script reads.

    Raises:
        InputError: there is no such file, or it does not hold tensors and an architecture.
    """
    with expecting(path, "what train writes", SafetensorError, TypeError, KeyError):
        with safe_open(path, framework="numpy") as file:
            _ = file.metadata()["architecture"]
        return path.read_bytes()


def encode_network(content: bytes) -> str | None:
    """Return the file of a network for the page, or None where it is too large."""
    return b64encode(content).decode() if len(content) <= NETWORK_LIMIT else None


def templates() -> Environment:
    """Return what fills in the templates of page and card; a value that is missing is an error."""
    loader = FileSystemLoader(SOURCES)
    return Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)


def write_report(path: Path, values: Mapping[str, object], images: bytes) -> None:
    """Write the page; whatever `values` hold appears as text, but for what is marked as safe."""
    script = "\n".join(map(_source, SCRIPTS))
    template = templates().overlay(autoescape=True).get_template("page.html")
    page = template.render(
        values,
        style=Markup(_source("style.css")),
        script=Markup(script),
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        images=b64encode(images).decode(),
        count=lambda number: f"{number:,}",
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _source(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")
