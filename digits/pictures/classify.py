"""What the network makes of picture files: see `python -m digits classify --help`.

Reads a recogniser's file, and the pictures, and nothing else.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import InputError, expecting
from digits.exact import softmax
from digits.network.recogniser import Recogniser, load_recogniser
from digits.pictures.framing import Digit, prepare
from digits.pictures.ink import BlankError
from digits.pictures.reading import read_picture

HEADER = ("file", "place", "answer", "probability", "second", "probability")  # of the table


@dataclass(frozen=True)
class Answer:
    """What the network makes of a digit, as `--json` prints it."""

    file: str
    place: tuple[int, int, int, int]
    predicted: str
    label: int
    probabilities: dict[str, float]


def read(file: str, side: int, *, sheet: bool = False) -> list[Digit]:
    """Return the digits in a picture as images of `side` x `side` pixels.

    `InputError` where there is no such file, or no picture in it, or a blank one.
    """
    path = Path(file)
    picture, times = read_picture(path)
    with expecting(path, "something that stands out from its background", BlankError):
        return prepare(picture, side, times, sheet=sheet)


def classify(digit: Digit, recogniser: Recogniser) -> NDArray[np.float64]:
    """Return the probability of each class, shape (classes,), means over the digit's own views."""
    means: NDArray[np.float64] = softmax(recogniser.answer(digit.views)).mean(axis=0)
    return means


def as_table(answers: Sequence[Answer]) -> str:
    """Return a table of the two likeliest classes of each digit."""
    rows = []
    for answer in answers:
        file = answer.file if answer.file.isprintable() else repr(answer.file)
        left, top, width, height = answer.place
        shares = sorted(answer.probabilities.items(), key=lambda item: -item[1])
        (first, one), (second, other), *_ = shares
        place = f"{width}x{height}+{left}+{top}"
        rows.append((file, place, first, f"{one:.4f}", second, f"{other:.4f}"))
    columns = zip(*[HEADER, *rows], strict=True)
    padded = [[text.rjust(max(map(len, column))) for text in column] for column in columns]
    return "\n".join(map(" ".join, zip(*padded, strict=True)))


def main(files: Sequence[str], model: Path, *, sheet: bool, as_json: bool) -> None:
    """Print what the network makes of pictures; exit with 1 if some cannot be used."""
    recogniser = load_recogniser(model)
    names, side = recogniser.description.classes, recogniser.description.statistics.side
    answers, failed = [], False
    for file in files:
        try:
            digits = read(file, side, sheet=sheet)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            digits, failed = [], True
        for digit in digits:
            shares = classify(digit, recogniser)
            by_name = dict(zip(names, shares.round(6).tolist(), strict=True))
            label = int(shares.argmax())
            answers.append(Answer(file, digit.place, names[label], label, by_name))
    if as_json:
        print(json.dumps([asdict(answer) for answer in answers], indent=2))
    elif answers:
        print(as_table(answers))
    if failed:
        sys.exit(1)
