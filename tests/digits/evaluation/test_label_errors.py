from pathlib import Path

import numpy as np
import pytest

from digits.errors import InputError
from digits.evaluation.label_errors import Suspect, rank, read_suspects, write_suspects

CLASSES = ("0", "1", "boot")
SUSPECTS = [Suspect("b" * 64, 0, 2, 0.125, 0.5), Suspect("a" * 64, 1, 2, 0.25, 0.5)]


def test_the_label_that_another_class_beats_by_most_is_most_in_doubt() -> None:
    shares = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4], [0.9, 0.1, 0.0]])
    order, suggested = rank(shares, np.array([0, 2, 2, 0]))
    assert order.tolist() == [1, 2, 0, 3]
    assert suggested.tolist() == [1, 1, 0, 1]
    order, _ = rank(np.tile([[0.7, 0.3], [0.6, 0.4]], (40, 1)), np.zeros(80, np.int64))
    assert order.tolist() == [*range(1, 80, 2), *range(0, 80, 2)]


def test_suspects_come_back_in_their_order_but_for_labels_that_the_data_lack(
    tmp_path: Path,
) -> None:
    path = tmp_path / "suspects.csv"
    write_suspects(path, SUSPECTS, CLASSES)
    for classes, expected in ((CLASSES, SUSPECTS), (("boot", "0"), [("b" * 64, 1, 0, 0.125, 0.5)])):
        found = read_suspects(path, classes)
        assert list(found.itertuples(index=False, name=None)) == expected
    path.write_text(f"{path.read_text()}{'a' * 64},0,2\n")
    with pytest.raises(InputError, match=r"\.csv: .*; expected what `make study STUDY=labels`"):
        read_suspects(path, CLASSES)
    write_suspects(path, [], CLASSES)
    assert read_suspects(path, CLASSES).empty
