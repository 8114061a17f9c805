"""report: a page that shows what the network gets wrong, and a card that says what it is.

    python -m stages report

Reads data/prepared/, data/probabilities.npy, models/mlp.safetensors, metrics/, plots/training.csv,
plots/reliability.csv and data/suspects.csv; writes report/index.html, and the model card,
models/README.md.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.data.classes import load_classes, name_classes
from digits.data.csv_files import read_table
from digits.data.tensors import PREPARED, PROBABILITIES, Statistics, map_array, map_labelled
from digits.errors import expecting
from digits.evaluation.label_errors import SUSPECTS, Suspect, locate, read_suspects
from digits.evaluation.measures import Predictions, precision, recall, wilson_interval
from digits.params import Params, as_yaml, load_params
from digits.report import page
from digits.report.model_card import CARD, write_card

REPORT = Path("report/index.html")
METRICS = Path("metrics")
PLOTS = Path("plots")
NETWORK = Path("models/mlp.safetensors")
HEADING = "What the network gets wrong"
WRITTEN = "what the stage before it writes"
HARDEST = 60  # images that are shown as hard to predict
CURVES = ("training_loss", "validation_loss", "validation_accuracy")
EVALUATION = ("rows", "held_out", "accuracy", "errors")


@dataclass(frozen=True)
class Part:
    """The training or the validation rows.

    Attributes:
        name: training or validation.
        images: shape (rows, pixels), normalised.
        labels: shape (rows,).
        rows: of the CSV file, shape (rows,).
        suspects: those whose label is in doubt, by their place.
    """

    name: str
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    suspects: dict[int, Suspect]


def load_parts(classes: int, statistics: Statistics, suspects: Mapping[str, Suspect]) -> list[Part]:
    """Map the training and the validation rows."""
    parts = []
    for name, folder in (("training", PREPARED / "train"), ("validation", PREPARED / "validation")):
        images, labels = map_labelled(folder, classes, statistics.pixels)
        found = locate(suspects, images, labels, statistics)
        rows = map_array(folder / "rows.npy", np.int64, len(labels))
        parts.append(Part(name, images, labels, rows, found))
    return parts


def read_metrics(name: str, *keys: str, folder: Path = METRICS) -> dict[str, Any]:
    """Return what a file in metrics/ holds, these keys at least."""
    path = folder / f"{name}.json"
    with expecting(path, WRITTEN, ValueError, KeyError, TypeError):
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for key in keys:
            content[key]
    return content


def read_score() -> dict[str, Any]:
    """Return what score wrote, and the 95 % interval of the accuracy, if there is one."""
    score = read_metrics("score", "rows")
    if score["rows"]:
        low, high = wilson_interval(score["rows"] - score["errors"], score["rows"])
        score["interval_95"] = {"low": low, "high": high}
    return score


def draw_charts() -> dict[str, object]:
    """Return the charts of the page, by name, and how many rows a bin of reliability has."""
    curves = read_table(PLOTS / "training.csv", dict.fromkeys(CURVES, float), WRITTEN)
    losses, held_out_losses, accuracies = (curves[name].tolist() for name in CURVES)
    kinds = {"raw": "as they are", "scaled": "scaled"}
    names = ("rows", *(f"{kind}_{what}" for kind in kinds for what in ("confidence", "accuracy")))
    bins = read_table(PLOTS / "reliability.csv", dict.fromkeys(names, float), WRITTEN)
    pairs = {
        words: list(zip(bins[f"{kind}_confidence"], bins[f"{kind}_accuracy"], strict=True))
        for kind, words in kinds.items()
    }
    return {
        "losses": page.draw_losses(losses, held_out_losses),
        "accuracies": page.draw_accuracy(accuracies),
        "reliability": page.draw_reliability(pairs),
        "bin_rows": f"{int(bins['rows'].max()):,}",
    }


def name_network(params: Params, pixels: int, classes: int) -> str:
    """Return the widths of its layers, from the pixels to the classes."""
    return "-".join(map(str, (pixels, *params.train.widths, classes)))


def describe(params: Params, name: str, parts: Sequence[Part]) -> str:
    """Return in a few sentences which network this is, and on which data."""
    train, data = params.train, params.data
    networks = f"{train.networks} networks" if train.networks > 1 else "A network"
    training, validation = (len(part.labels) for part in parts)
    rows = (
        f"{training:,} of the images in {data.train}; the {validation:,} others are for validation"
        if train.rows == "train"
        else f"all {training + validation:,} images in {data.train}"
    )
    return (
        f"{networks} {name}, trained for {train.epochs} epochs in batches "
        f"of {train.batch_size} with a learning rate of {train.lr:g} ({train.schedule}), on {rows}"
        f". Test images: {data.test}."
    )


def list_images(
    predictions: Predictions, validation: Part, order: NDArray[np.int64]
) -> list[list[Any]]:
    """Return actual and predicted class, row and largest probabilities of each image."""
    columns = (predictions.actual, predictions.predicted, validation.rows)
    numbers = np.stack([column[order] for column in columns], axis=1).tolist()
    shares = page.largest_shares(predictions.probabilities[order])
    return [[*row, pairs] for row, pairs in zip(numbers, shares, strict=True)]


def list_suspects(
    parts: Sequence[Part], ranks: Sequence[str], held: Mapping[int, int]
) -> tuple[list[list[object]], list[NDArray[np.float32]]]:
    """Return what the page says of each suspect, and the images that it does not hold yet.

    Args:
        parts: training and validation.
        ranks: the digests of the suspects, the most doubtful first.
        held: where the page holds the image of a validation row.
    """
    found = [(part, place, one) for part in parts for place, one in part.suspects.items()]
    listed: list[list[object]] = []
    more: list[NDArray[np.float32]] = []
    for part, place, one in sorted(found, key=lambda each: ranks.index(each[2].sha256)):
        index = held.get(place) if part.name == "validation" else None
        if index is None:
            index = len(held) + len(more)
            more.append(part.images[place])
        shares = [[one.given_probability, one.suggested_probability]]
        where = (int(part.rows[place]), part.name)
        said = page.thousandths(np.array(shares))[0]
        listed.append([index, one.given, one.suggested, *where, *said])
    return listed, more


def choose_images(
    statistics: Statistics, parts: Sequence[Part], predictions: Predictions, ranks: Sequence[str]
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return the pictures that the page holds, shape (count, side, side), and what it says of them.

    The misclassified come first, and then the others, the hardest first, as many as fit.
    """
    _, validation = parts
    side = statistics.side
    order = page.arrange(predictions)[: page.MOST_IMAGES]
    pictures = statistics.restore(validation.images[order]).reshape(-1, side, side)
    order = order[: page.most_that_fit(pictures)]
    held = {row: index for index, row in enumerate(order.tolist())}
    listed, more = list_suspects(parts, ranks, held)
    others = [statistics.picture(image)[np.newaxis] for image in more]
    data = {
        "images": list_images(predictions, validation, order),
        "hard": [held[row] for row in predictions.hardest().tolist() if row in held][:HARDEST],
        "suspects": listed,
        "errors": len(predictions.misclassified()),
    }
    return np.concatenate([pictures[: len(order)], *others]), data


def load_confusion() -> dict[str, object]:
    """Return the confusion matrix, if it can be looked at, and what is to be said of it."""
    counts = np.array(read_metrics("confusion_matrix", "counts")["counts"])
    errors = counts * (1 - np.eye(len(counts), dtype=np.int64))
    return {
        "confusion": counts.tolist() if len(counts) <= page.MOST_CLASSES else [],
        "most_confused": int(errors.max()),
        "class_rows": counts.sum(axis=0).tolist(),
        "recall": recall(counts),
        "precision": precision(counts),
    }


def gather(params: Params, statistics: Statistics) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Return all that the page says, and the pictures that it holds."""
    labels = load_classes()
    names, classes = name_classes(labels, params.data.class_names), len(labels)
    suspects = read_suspects(SUSPECTS, labels)
    parts = load_parts(classes, statistics, suspects)
    _, validation = parts
    shares = map_array(PROBABILITIES, np.float64, len(validation.labels), classes)
    predictions = Predictions(validation.labels, shares)
    pictures, data = choose_images(statistics, parts, predictions, list(suspects))
    network, name = page.read_network(NETWORK), name_network(params, statistics.pixels, classes)
    wrong = predictions.misclassified().tolist()
    scale = {"side": statistics.side, "mean": statistics.mean, "std": statistics.std}
    return {
        "heading": HEADING,
        "names": names,
        **scale,
        "network": name,
        "images": Path(params.data.train).parent.name or "train",
        "prepared": read_metrics("counts", "rows", "copies", folder=PREPARED),
        "score": read_score(),
        "evaluation": read_metrics("evaluation", *EVALUATION),
        "calibration": read_metrics("calibration", "raw", "scaled", "temperature"),
        "suspects": sum(len(part.suspects) for part in parts),
        "doubted_errors": sum(row in validation.suspects for row in wrong),
        "held_errors": min(len(wrong), len(data["images"])),
        "weights": page.encode_network(network),
        "megabytes": f"{len(network) / 1e6:.1f}",
        "description": describe(params, name, parts),
        "params": as_yaml(params.model_dump(mode="json")),
        "data": {**data, **scale, "names": names, "shift": params.predict.shift},
        **load_confusion(),
        **draw_charts(),
    }, pictures


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    statistics = Statistics.load(PREPARED / "statistics.json")
    values, pictures = gather(params, statistics)
    page.write_report(REPORT, values, page.pack(pictures))
    write_card(CARD, values)
    wrong, megabytes = values["data"]["errors"], REPORT.stat().st_size / 1e6
    return (
        f"read {METRICS}, {PREPARED} and {SUSPECTS}; {values['doubted_errors']} of {wrong} "
        f"misclassified images have a label in doubt; wrote {CARD} and {REPORT}, {megabytes:.1f} MB"
    )
