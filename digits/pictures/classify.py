"""classify: what the network makes of picture files.

    python -m digits.pictures.classify FILE ...
    python -m digits.pictures.classify --sheet --json FILE ...

Reads params.yaml, data/prepared/statistics.json and models/mlp.safetensors of this folder, and the
pictures; `-` is standard input. Prints a table or, as JSON, a list with an object for each digit:

    file            as it was given
    place           of the digit: left, top, width and height, in pixels of the picture as it is
                    turned; the table has it as WIDTHxHEIGHT+LEFT+TOP
    predicted       the name of the likeliest class
    label           its number
    probabilities   of each class, by its name, rounded to 6 digits

A picture has one digit, unless several of about one size lie clearly apart; with --sheet, whatever
is large and does not touch another is a digit. They are told in reading order.

A picture that cannot be used has a line on standard error instead; the others are answered all the
same, and the exit status is 1.
"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from digits.data.classes import load_classes, name_classes
from digits.data.tensors import PREPARED, Statistics
from digits.errors import InputError, expecting, run_command, shorten
from digits.network.inference import infer, probabilities
from digits.network.model import MODEL, Ensemble, load_model
from digits.params import PARAMS, load_params
from digits.pictures.framing import prepare
from digits.pictures.ink import BlankError
from digits.pictures.reading import read_picture

STATISTICS, CONFUSION = PREPARED / "statistics.json", Path("metrics/confusion_matrix.json")
STANDARD_INPUT = {"-": "/dev/stdin"}


@dataclass(frozen=True)
class Found:
    """A digit that was found in a picture.

    Attributes:
        file: the picture's, as it was given.
        place: left, top, width and height, in pixels of the picture as it is turned.
        views: as the network knows it, and turned both ways, shape (views, pixels), from 0 to 255.
    """

    file: str
    place: tuple[int, int, int, int]
    views: NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """What the network makes of a digit.

    Attributes:
        file: the picture's.
        place: the digit's.
        probabilities: of each class, shape (classes,).
    """

    file: str
    place: tuple[int, int, int, int]
    probabilities: NDArray[np.float64]

    def likeliest(self) -> list[int]:
        """Return all classes, the likeliest first."""
        order: list[int] = np.argsort(-self.probabilities, kind="stable").tolist()
        return order


def load_network(classes: int) -> tuple[Statistics, Ensemble]:
    """Return what images were normalised with, and the network.

    Raises:
        InputError: they are not there, or do not fit each other or the number of classes.
    """
    for path in (STATISTICS, MODEL):
        if not path.exists():
            raise InputError(f"{path}: no such file; expected what `make repro` makes")
    statistics = Statistics.load(STATISTICS)
    return statistics, load_model(MODEL, statistics.pixels, classes)


def check_names(names: Sequence[str]) -> None:
    """Check that the classes have the names that evaluate told the network's by, if it ran.

    Raises:
        InputError: they have others, so that answers would have wrong names.
    """
    if not CONFUSION.exists():
        return
    with expecting(CONFUSION, "what evaluate writes", ValueError, KeyError, TypeError):
        columns = json.loads(CONFUSION.read_bytes())["columns"]
        known = [str.removeprefix(column, "actual ") for column in columns]
    if known != list(names):
        told = f"{shorten(list(names))}; the network in {MODEL} was made for {shorten(known)}"
        raise InputError(f"{PARAMS}: data.class_names = {told}; expected make repro to have run")


def read(file: str, side: int, *, sheet: bool = False) -> list[Found]:
    """Read a picture, and prepare its digits for images of `side` x `side` pixels.

    Raises:
        InputError: there is no such file, or no picture in it, or a blank one.
    """
    path = Path(STANDARD_INPUT.get(file, file))
    picture = read_picture(path)
    with expecting(path, "something that stands out from its background", BlankError):
        digits = prepare(picture.colours, side, sheet=sheet)
    found = []
    for digit in digits:
        box = digit.box.scaled(picture.scale, picture.scale)
        place = box.left, box.top, box.right - box.left, box.bottom - box.top
        found.append(Found(file, place, digit.views.reshape(len(digit.views), -1)))
    return found


def read_all(files: Iterable[str], side: int, *, sheet: bool) -> list[list[Found]]:
    """Return the digits of each picture that can be used, and say of the others why they cannot."""
    pictures = []
    for file in files:
        try:
            pictures.append(read(file, side, sheet=sheet))
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
    return pictures


def classify(
    digits: Sequence[Found], statistics: Statistics, model: Ensemble, shift: int
) -> list[Answer]:
    """Return what the network makes of each digit: the mean over its views.

    Args:
        digits: of as many pixels as the network has inputs.
        statistics: what images were normalised with.
        model: the network.
        shift: pixels, up to which the images are shifted, to average the answers.
    """
    if not digits:
        return []
    images = statistics.normalise(np.concatenate([digit.views for digit in digits]))
    shares, _ = probabilities(infer(model, torch.from_numpy(images), shift, MODEL))
    ends = np.cumsum([len(digit.views) for digit in digits])
    return [
        Answer(digit.file, digit.place, views.mean(axis=0))
        for digit, views in zip(digits, np.split(shares, ends[:-1]), strict=True)
    ]


def as_table(answers: Sequence[Answer], names: Sequence[str]) -> str:
    """Return a table of the two likeliest classes of each digit."""
    rows = [("file", "place", "answer", "probability", "second", "probability")]
    for answer in answers:
        file = answer.file if answer.file.isprintable() else repr(answer.file)
        left, top, width, height = answer.place
        first, second, *_ = answer.likeliest()
        shares = [f"{answer.probabilities[label]:.4f}" for label in (first, second)]
        place = f"{width}x{height}+{left}+{top}"
        rows.append((file, place, names[first], shares[0], names[second], shares[1]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "{:{}}  {:{}}  {:{}}  {:>{}}  {:{}}  {:>{}}"
    return "\n".join(form.format(*chain(*zip(row, widths, strict=True))) for row in rows)


def as_json(answers: Sequence[Answer], names: Sequence[str]) -> str:
    """Return a list of objects in JSON, with the keys that this module's docstring says."""
    listed = []
    for answer in answers:
        label, *_ = answer.likeliest()
        shares = dict(zip(names, answer.probabilities.round(6).tolist(), strict=True))
        found = {"file": answer.file, "place": answer.place, "predicted": names[label]}
        listed.append(found | {"label": label, "probabilities": shares})
    return json.dumps(listed, indent=2)


def main() -> None:
    """Classify the pictures that the command line names."""
    parser = ArgumentParser(
        prog="python -m digits.pictures.classify",
        description="Say what the network makes of pictures.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a picture; - is standard input")
    parser.add_argument("--sheet", action="store_true", help="each picture has several digits")
    parser.add_argument("--json", action="store_true", help="all probabilities, as JSON")
    arguments = parser.parse_args()
    params = load_params()
    names = name_classes(load_classes(), params.data.class_names)
    statistics, model = load_network(len(names))
    check_names(names)
    pictures = read_all(arguments.files, statistics.side, sheet=arguments.sheet)
    answers = classify([*chain(*pictures)], statistics, model, params.predict.shift)
    if arguments.json:
        print(as_json(answers, names))
    elif answers:
        print(as_table(answers, names))
    if len(pictures) < len(arguments.files):
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)
