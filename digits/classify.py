"""What the network makes of picture files: see `python -m digits classify --help`.

Reads a recogniser's file, and the pictures, and nothing else.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from digits.errors import InputError
from digits.recogniser import Prediction, Recogniser

HEADER = ("file", "place", "answer", "probability", "second", "probability", "familiar")


def as_table(answers: Sequence[tuple[str, Prediction]]) -> str:
    """Return a table of the two likeliest classes of each digit, by its file."""
    rows = []
    for file, answer in answers:
        name = file if file.isprintable() else repr(file)
        left, top, width, height = answer.place
        shares = sorted(answer.probabilities.items(), key=lambda item: -item[1])
        (first, one), (second, other), *_ = shares
        told = (f"{width}x{height}+{left}+{top}", first, f"{one:.4f}", second, f"{other:.4f}")
        rows.append((name, *told, "yes" if answer.is_familiar else "no"))
    columns = zip(*[HEADER, *rows], strict=True)
    padded = [[text.rjust(max(map(len, column))) for text in column] for column in columns]
    return "\n".join(map(" ".join, zip(*padded, strict=True)))


def main(files: Sequence[str], model: str, *, sheet: bool, as_json: bool) -> None:
    """Print what the network makes of pictures; exit with 1 if some cannot be used."""
    recogniser = Recogniser.load(model)
    answers, failed = list[tuple[str, Prediction]](), False
    for file in files:
        try:
            answers += ((file, answer) for answer in recogniser.read(file, sheet=sheet))
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
    if as_json:
        print(json.dumps([{"file": file, **asdict(answer)} for file, answer in answers], indent=2))
    elif answers:
        print(as_table(answers))
    if failed:
        sys.exit(1)
