from pathlib import Path

import numpy as np
import pytest

from digits.data.answers import digests
from digits.data.tensors import Statistics
from digits.errors import InputError
from digits.evaluation.label_errors import Suspect, locate, rank, read_suspects, write_suspects
from tests.sandbox import draw_images

CLASSES = ("0", "1", "boot")
STATISTICS = Statistics(mean=33, std=79, pixels=16)


def make(digest: str, given: int = 0) -> Suspect:
    return Suspect(digest, given, 2, 0.125, 0.5)


def test_the_label_that_another_class_beats_by_most_is_most_in_doubt() -> None:
    shares = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4], [0.9, 0.1, 0.0]])
    order, suggested = rank(shares, np.array([0, 2, 2, 0]))
    assert order.tolist() == [1, 2, 0, 3]
    assert suggested.tolist() == [1, 1, 0, 1]


def test_rows_in_equal_doubt_keep_their_order() -> None:
    order, _ = rank(np.full((4, 2), 0.5), np.array([0, 1, 0, 1]))
    assert order.tolist() == [0, 1, 2, 3]


def test_suspects_come_back_as_they_were_written(tmp_path: Path) -> None:
    suspects = [make("b" * 64), make("a" * 64, given=1)]
    write_suspects(tmp_path / "suspects.csv", suspects, CLASSES)
    assert list(read_suspects(tmp_path / "suspects.csv", CLASSES).values()) == suspects


def test_suspects_of_labels_that_the_data_lack_are_left_out(tmp_path: Path) -> None:
    suspects = [make("b" * 64), make("a" * 64, given=1)]
    write_suspects(tmp_path / "suspects.csv", suspects, CLASSES)
    found = read_suspects(tmp_path / "suspects.csv", ("boot", "7", "0"))
    assert found == {"b" * 64: Suspect("b" * 64, 2, 0, 0.125, 0.5)}


def test_a_list_of_no_suspects_is_one(tmp_path: Path) -> None:
    write_suspects(tmp_path / "suspects.csv", [], CLASSES)
    assert read_suspects(tmp_path / "suspects.csv", CLASSES) == {}


@pytest.mark.parametrize(
    "row",
    [
        "a,0,2,0.1,0.5",
        f"{'a' * 64},0,2,0.1,1.5",
        f"{'a' * 64},0,2,nan,0.5",
        f"{'a' * 64},0,2",
        f"{'a' * 64},,2,0.1,0.5",
        f"{'a' * 64},2,2,0.1,0.5",
        "\u0661",
    ],
)
def test_a_list_of_another_kind_is_refused(tmp_path: Path, row: str) -> None:
    path = tmp_path / "suspects.csv"
    write_suspects(path, [make("b" * 64)], CLASSES)
    path.write_text(path.read_text() + row + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"suspects\.csv: .*; expected what `make labels` writes"):
        read_suspects(path, CLASSES)


def test_suspects_are_found_by_their_pixels_while_their_label_stays() -> None:
    pixels, labels = draw_images(9)
    found = list(digests(pixels))
    suspects = {one.sha256: one for one in (make(found[4], given=1), make(found[7], given=0))}
    suspects["c" * 64] = make("c" * 64)
    located = locate(suspects, STATISTICS.normalise(pixels), labels, STATISTICS)
    assert located == {4: suspects[found[4]]}
    assert labels[7] != 0


def test_without_suspects_no_image_is_looked_at() -> None:
    assert locate({}, np.full((2, 16), np.nan, np.float32), np.zeros(2, int), STATISTICS) == {}
