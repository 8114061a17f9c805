from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digits.data.classes import (
    UNKNOWN,
    encode,
    load_classes,
    name_classes,
    normalise_labels,
    save_classes,
    sort_classes,
)
from digits.errors import InputError


def test_numbers_come_by_value_and_then_words_by_the_alphabet() -> None:
    assert sort_classes({"b", "10", "A", "9", "-1"}) == ("-1", "9", "10", "A", "b")


def test_a_whole_number_is_one_label_however_it_is_written() -> None:
    same = ["7.5", "seven", "0x7", "7_0", "Seven", "True", "9007199254740992.0"]
    texts = ["7", "07", "7.0", "7e0", "+7", "9007199254740991.0", *same]
    expected = ["7"] * 5 + ["9007199254740991", *same]
    assert normalise_labels(pd.Series(texts)).tolist() == expected


def test_a_label_is_encoded_by_its_place_among_the_classes() -> None:
    codes = encode(iter(["9", "Boot", "x", "9", ""]), ("9", "Boot"))
    assert codes.tolist() == [0, 1, UNKNOWN, 0, UNKNOWN]
    assert encode([], ("9",)).dtype == codes.dtype == np.int64


def test_classes_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    save_classes(path, ("9", "10", "Boot"))
    assert load_classes(path) == ("9", "10", "Boot")
    for content in ("", "[]", "{}", '{"classes": ["a", "a"]}'):
        path.write_text(content)
        with pytest.raises(InputError, match=r"classes\.json: .*; expected what prepare writes"):
            load_classes(path)


def test_classes_are_named_by_their_labels_or_by_as_many_names() -> None:
    assert name_classes(("1", "2"), ()) == ("1", "2")
    assert name_classes(("1", "2"), ("one", "two")) == ("one", "two")
    message = r"\['one'\]: 1 names; expected 2, for the labels '1, 2', or none"
    with pytest.raises(InputError, match=rf"^params.yaml: data.class_names = {message}$"):
        name_classes(("1", "2"), ("one",))
