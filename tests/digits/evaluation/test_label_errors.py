from pathlib import Path

import numpy as np
import pytest

from digits.errors import InputError
from digits.evaluation.label_errors import Suspect, locate, rank, read_suspects, write_suspects

CLASSES = ("0", "1", "boot")


def make(digest: str, given: int = 0) -> Suspect:
    return Suspect(digest * 64, given, 2, 0.125, 0.5)


def test_the_label_that_another_class_beats_by_most_is_most_in_doubt() -> None:
    shares = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4], [0.9, 0.1, 0.0]])
    order, suggested = rank(shares, np.array([0, 2, 2, 0]))
    assert order.tolist() == [1, 2, 0, 3]
    assert suggested.tolist() == [1, 1, 0, 1]
    order, _ = rank(np.full((4, 2), 0.5), np.array([0, 1, 0, 1]))
    assert order.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("suspects", [[], [make("b"), make("a", given=1)]])
def test_suspects_come_back_in_their_order(tmp_path: Path, suspects: list[Suspect]) -> None:
    write_suspects(tmp_path / "suspects.csv", suspects, CLASSES)
    assert list(read_suspects(tmp_path / "suspects.csv", CLASSES).values()) == suspects


def test_suspects_of_labels_that_the_data_lack_are_left_out(tmp_path: Path) -> None:
    write_suspects(tmp_path / "suspects.csv", [make("b"), make("a", given=1)], CLASSES)
    found = read_suspects(tmp_path / "suspects.csv", ("boot", "7", "0"))
    assert found == {"b" * 64: Suspect("b" * 64, 2, 0, 0.125, 0.5)}


def test_a_list_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "suspects.csv"
    write_suspects(path, [make("b")], CLASSES)
    path.write_text(f"{path.read_text()}{'a' * 64},0,2\n")
    with pytest.raises(InputError, match=r"suspects\.csv: .*; expected what `make labels` writes"):
        read_suspects(path, CLASSES)


def test_suspects_are_found_by_their_pixels_while_their_label_stays() -> None:
    suspects = {one.sha256: one for one in (make("a", given=1), make("b"), make("c"))}
    digests = [letter * 64 for letter in "dabda"]
    found = locate(suspects, digests, np.array([0, 1, 2, 0, 1]))
    assert found == {1: make("a", given=1), 4: make("a", given=1)}
