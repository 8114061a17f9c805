import json
import tracemalloc
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from digits.data.classes import load_classes
from digits.data.image_table import write_images
from digits.data.tensors import Statistics, map_images, map_labelled, map_rows
from digits.errors import InputError
from stages import prepare
from tests.conftest import PIXELS, ParamsWriter
from tests.sandbox import CLASSES, draw_images

PREPARED = Path("data/prepared")


def test_the_parts_hold_every_row_once_in_the_order_of_the_csv(project: Path) -> None:
    prepare.main()
    pixels, labels = draw_images(90)
    statistics = Statistics.load(PREPARED / "statistics.json")
    rows: dict[str, list[int]] = {}
    for name in ("train", "validation"):
        images, held = map_labelled(PREPARED / name, CLASSES)
        restored = statistics.restore(images)
        where = [np.flatnonzero((pixels == image).all(axis=1)).item() for image in restored]
        assert where == sorted(where) == (map_rows(PREPARED / name, len(where)) - 2).tolist()
        assert np.array_equal(labels[where], held)
        rows[name] = where
    assert len(rows["validation"]) == 30
    assert sorted(rows["train"] + rows["validation"]) == list(range(90))
    test = statistics.restore(map_images(PREPARED / "test" / "images.npy"))
    assert np.array_equal(test, draw_images(12, seed=1)[0])


def test_nothing_but_the_outputs_is_left(project: Path) -> None:
    prepare.main()
    files = sorted(str(path.relative_to(PREPARED)) for path in PREPARED.rglob("*"))
    assert files == [
        "classes.json",
        "ids.csv",
        "statistics.json",
        "test",
        "test/images.npy",
        "train",
        "train/images.npy",
        "train/labels.npy",
        "train/rows.npy",
        "validation",
        "validation/images.npy",
        "validation/labels.npy",
        "validation/rows.npy",
    ]
    assert [path.name for path in Path("data").iterdir()] == ["prepared"]


def test_training_pixels_alone_are_normalised_to_mean_0_and_deviation_1(project: Path) -> None:
    prepare.main()
    images = map_images(PREPARED / "train" / "images.npy").astype(np.float64)
    assert images.mean() == pytest.approx(0, abs=1e-7)
    assert images.std() == pytest.approx(1, abs=1e-7)
    statistics = Statistics.load(PREPARED / "statistics.json")
    pixels = statistics.restore(map_images(PREPARED / "train" / "images.npy")).astype(np.float64)
    assert statistics.mean == pytest.approx(pixels.mean(), rel=1e-15)
    assert statistics.std == pytest.approx(pixels.std(), rel=1e-14)


def counts() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(Path("metrics/prepare.json").read_text())
    return found


def test_rows_are_counted_and_none_is_on_both_sides(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare.main()
    assert counts() == {
        "rows": {"training": 60, "validation": 30, "test": 12},
        "copies": {"validation_in_training": 0, "test_in_labelled": 0},
    }
    assert capsys.readouterr().err == ""


def test_rows_on_both_sides_are_counted_and_warned_of(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_block(monkeypatch, rows=7)
    pixels, labels = draw_images(90)
    origins = np.r_[:60, :30]
    write_images(Path("train.csv"), pixels[origins], labels[origins])
    others, _ = draw_images(12, seed=1)
    write_images(Path("test.csv"), np.concatenate([others, pixels[:60]]))
    capsys.readouterr()
    prepare.main()
    training, validation = (
        origins[map_rows(PREPARED / name, rows) - 2]
        for name, rows in (("train", 60), ("validation", 30))
    )
    expected = np.isin(validation, training).sum()
    assert counts()["copies"] == {"validation_in_training": expected, "test_in_labelled": 60}
    assert 0 < expected < 30
    assert capsys.readouterr().err == (
        f"warning: train.csv: {expected} validation rows are training rows as well, and 60 rows of "
        "test.csv are in it; expected none: the scores are too good\n"
    )


def test_a_fraction_splits_as_its_count_does(project: Path, write_params: ParamsWriter) -> None:
    contents = []
    for validation in (30, 1 / 3):
        write_params({"prepare.validation": validation})
        prepare.main()
        contents.append((PREPARED / "validation" / "images.npy").read_bytes())
    assert contents[0] == contents[1]


def test_blocks_make_no_difference(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = []
    for rows in (1000, 7):
        set_block(monkeypatch, rows)
        prepare.main()
        paths = sorted(path for path in PREPARED.rglob("*") if path.is_file())
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]


def set_block(monkeypatch: pytest.MonkeyPatch, rows: int, pixels: int = PIXELS) -> None:
    """Let a block have that many rows of images."""
    monkeypatch.setattr("digits.data.unpacking.FIRST_BYTES", rows * pixels * 4)
    monkeypatch.setattr("digits.data.unpacking.BLOCK_BYTES", rows * pixels * 4)
    monkeypatch.setattr("stages.prepare.BLOCK_BYTES", rows * pixels)


def test_ten_times_the_rows_need_nowhere_near_ten_times_the_memory(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_block(monkeypatch, rows=100, pixels=100)
    peaks = []
    for rows in (500, 5000):
        pixels = np.random.default_rng(0).integers(0, 256, (rows, 100), dtype=np.uint8)
        write_images(Path("train.csv"), pixels, draw_images(rows)[1])
        write_images(Path("test.csv"), pixels)
        tracemalloc.start()
        prepare.main()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_the_seed_decides_the_split(project: Path, write_params: ParamsWriter) -> None:
    contents = []
    for seed in (0, 0, 1):
        write_params({"prepare.seed": seed})
        prepare.main()
        contents.append((PREPARED / "validation" / "images.npy").read_bytes())
    first, again, other = contents
    assert first == again
    assert first != other


def test_other_sizes_and_numbers_of_classes_are_prepared(
    project: Path, write_params: ParamsWriter
) -> None:
    write_params({"prepare.validation": 2})
    pixels = np.arange(4 * 25, dtype=np.uint8).reshape(4, 25)
    write_images(Path("train.csv"), pixels, np.array([0, 1, 0, 1]))
    write_images(Path("test.csv"), pixels)
    prepare.main()
    assert Statistics.load(PREPARED / "statistics.json").side == 5


def test_a_test_file_of_another_width_is_refused(project: Path) -> None:
    write_images(Path("test.csv"), np.zeros((2, 25), np.uint8))
    message = "test.csv: row 1: 25 pixel columns; expected 16, as in train.csv"
    with pytest.raises(InputError, match=f"^{message}$"):
        prepare.main()


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (90, "prepare.validation = 90: 90 of the 90 rows in train.csv; expected from 1 to 89"),
        (500, "prepare.validation = 500: 500 of the 90 rows in train.csv; expected from 1 to 89"),
        (0.001, "prepare.validation = 0.001: 0 of the 90 rows in train.csv; expected from 1 to 89"),
        (89, r"prepare.validation = 89: no training row of class '\d' beside 89 validation"),
    ],
)
def test_a_split_that_leaves_too_little_is_refused(
    project: Path, write_params: ParamsWriter, validation: float, message: str
) -> None:
    write_params({"prepare.validation": validation})
    with pytest.raises(InputError, match=message):
        prepare.main()


def test_classes_that_validation_lacks_are_told(
    project: Path, write_params: ParamsWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params({"prepare.validation": 2})
    prepare.main()
    assert capsys.readouterr().err == "warning: no validation row of '2'\n"


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        (["b", "B", "10"], ["10", "B", "b"]),
        (["-1", "0", "zero"], ["-1", "0", "zero"]),
    ],
)
def test_classes_are_the_labels_numbers_by_value_and_words_by_the_alphabet(
    project: Path, names: list[str], classes: list[str]
) -> None:
    pixels, labels = draw_images(90)
    write_images(Path("train.csv"), pixels, [names[label] for label in labels])
    prepare.main()
    assert load_classes() == tuple(classes)
    held = np.concatenate([map_labelled(PREPARED / part, 3)[1] for part in ("train", "validation")])
    rows = np.concatenate([map_rows(PREPARED / "train", 60), map_rows(PREPARED / "validation", 30)])
    assert [classes[code] for code in held] == [names[labels[row - 2]] for row in rows]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("a" * 61, "'a{30,}.*: expected 1 to 60 characters"),
        ("<b>", "'<b>': expected no '<' before a letter"),
    ],
)
def test_a_label_that_cannot_be_shown_is_refused_with_its_row(
    project: Path, label: str, message: str
) -> None:
    pixels, _ = draw_images(90)
    write_images(Path("train.csv"), pixels, ["a", "b", label] * 30)
    with pytest.raises(InputError, match=rf"^train.csv: row 4, column 1 \(label\): {message}"):
        prepare.main()


def test_more_labels_than_there_can_be_classes_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_block(monkeypatch, rows=7)
    monkeypatch.setattr("stages.prepare.MOST", 20)
    write_images(Path("train.csv"), draw_images(90)[0], range(90))
    message = r"^train.csv: row 22, column 1 \(label\): '20': expected at most 20 different labels$"
    with pytest.raises(InputError, match=message):
        prepare.main()


def test_images_all_of_one_grey_are_refused(project: Path) -> None:
    write_images(Path("train.csv"), np.full((90, 16), 7, np.uint8), draw_images(90)[1])
    with pytest.raises(InputError, match=r"train.csv: all training pixels are equal"):
        prepare.main()


@pytest.mark.parametrize(("broken", "kept"), list(permutations(["train.csv", "test.csv"])))
def test_bad_input_leaves_what_was_prepared_before(project: Path, broken: str, kept: str) -> None:
    prepare.main()
    before = (PREPARED / "train" / "images.npy").read_bytes()
    Path(broken).write_text(Path(broken).read_text().replace("\n", "\n\n", 3))
    with pytest.raises(InputError, match=f"^{broken}: row "):
        prepare.main()
    assert (PREPARED / "train" / "images.npy").read_bytes() == before
    assert not Path("data/prepared.partial").exists()
    assert Path(kept).exists()
