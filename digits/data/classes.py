"""Classes: what the labels of a set name, in order, and the names that they are shown under.

Numbers come first, by their value, and then words, by the alphabet. data/prepared/classes.json has
them, as text; a class is known by its place there.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.data.tensors import PREPARED, WRITTEN
from digits.errors import InputError, expecting, shorten
from digits.files import write_json
from digits.params import PARAMS, check_names

CLASSES = PREPARED / "classes.json"
UNKNOWN = -1  # of a label that none of the classes has


def normalise_labels(texts: "pd.Series[str]") -> "pd.Series[str]":
    """Return labels, shape (rows,), with whole numbers in one form: 7 for 07, 7.0 and 7e0."""
    found = pd.Series(texts.unique(), dtype=object)
    numbers = pd.to_numeric(found, errors="coerce")
    whole = (numbers == np.rint(numbers)) & (np.abs(numbers) < 2**53)
    same = {
        text: str(int(number)) if is_whole else text
        for text, number, is_whole in zip(found, numbers, whole, strict=True)
    }
    return texts.map(same)


def sort_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """Return different labels in the order of their classes."""
    return tuple(sorted(labels, key=_place))


def _place(label: str) -> tuple[bool, int, str]:
    is_number = label.removeprefix("-").isdecimal()
    return not is_number, int(label) if is_number else 0, label


def encode(labels: Iterable[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each label, shape (rows,), `UNKNOWN` where it is none of the classes."""
    codes = {label: code for code, label in enumerate(classes)}
    return np.array([codes.get(label, UNKNOWN) for label in labels], dtype=np.int64)


def save_classes(path: Path, classes: Sequence[str]) -> None:
    """Write the labels of the classes, in order, as JSON."""
    write_json(path, {"classes": list(classes)})


def load_classes(path: Path = CLASSES) -> tuple[str, ...]:
    """Return what `save_classes` wrote; an `InputError` tells if it is not there."""
    with expecting(path, WRITTEN, ValueError, KeyError, TypeError):
        classes = tuple(json.loads(path.read_bytes())["classes"])
        check_names(classes)
    return classes


def name_classes(classes: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the name of each class: its own of `data.class_names`, or its label without any.

    Raises an `InputError` if there are more or fewer names than classes.
    """
    if names and len(names) != len(classes):
        raise InputError(
            f"{PARAMS}: data.class_names = {shorten(list(names))}: {len(names)} names; expected "
            f"{len(classes)}, for the labels {shorten(', '.join(classes))}, or none"
        )
    return tuple(names or classes)
