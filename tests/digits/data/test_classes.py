from pathlib import Path

import pandas as pd
import pytest

from digits.data.classes import (
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
    texts = ["7", "07", "7.0", "7e0", "+7", "7.5", "seven", "0x7", "7_0", "Seven", "True"]
    expected = ["7"] * 5 + ["7.5", "seven", "0x7", "7_0", "Seven", "True"]
    assert normalise_labels(pd.Series(texts)).tolist() == expected


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
    with pytest.raises(InputError, match=r"class_names = \['one'\]: 1 names; expected 2, for the "):
        name_classes(("1", "2"), ("one",))
