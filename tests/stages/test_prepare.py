import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from digits.data.image_table import write_images
from digits.data.straightening import straighten
from digits.data.tensors import IMAGES, PREPARED, Digests, Statistics, digest_rows, map_pixels
from digits.errors import InputError
from stages import prepare
from tests.conftest import PIXELS, ParamsWriter
from tests.sandbox import draw_images

PARTS = ("train", "validation")


def rows_of(part: str) -> list[int]:
    """Return which rows of the CSV file a part holds, counted from 0."""
    rows: list[int] = np.load(PREPARED / part / "rows.npy").tolist()
    return rows


def contents() -> dict[str, bytes]:
    files = (path for path in PREPARED.rglob("*") if path.is_file())
    return {str(path.relative_to(PREPARED)): path.read_bytes() for path in files}


def test_parts_hold_each_row_once_in_order_normalised_by_training_pixels_alone(
    project: Path, write_params: ParamsWriter
) -> None:
    write_params({"prepare.straighten": True})
    pixels, labels = draw_images(90)
    pixels, labels = pixels[::-1], labels[::-1]  # the last class first
    write_images(Path("train.csv"), pixels, labels)
    counts = "60 training, 30 validation, 12 test images"
    assert prepare.main() == f"read train.csv and test.csv; wrote data/prepared: {counts}"
    statistics = Statistics.load(PREPARED / "statistics.json")
    images, first = np.load(IMAGES), 0
    for part, digest in zip(PARTS, Digests.load(), strict=True):
        rows, held = rows_of(part), np.load(PREPARED / part / "labels.npy")
        assert rows == sorted(rows)
        assert np.array_equal(map_pixels(PREPARED / part, 16), pixels[rows])
        own = images[first : first + len(rows)]
        assert np.array_equal(statistics.normalise(pixels[rows]), own)
        assert np.array_equal(held, labels[rows])
        assert np.array_equal(digest_rows(own, held, first), digest)
        first += len(rows)
    assert len(rows_of("validation")) == 30
    assert sorted(rows_of("train") + rows_of("validation")) == list(range(90))
    assert np.array_equal(map_pixels(PREPARED / "test", 16), draw_images(12, seed=1)[0])
    training = straighten(pixels[rows_of("train")])
    expected = [training.mean(), training.std()]
    assert [statistics.mean, statistics.std] == pytest.approx(expected, rel=1e-14)
    normalised = images[: len(training)].astype(np.float64)
    assert [normalised.mean(), normalised.std()] == pytest.approx([0, 1], abs=1e-7)


def set_block(monkeypatch: pytest.MonkeyPatch, rows: int, pixels: int = PIXELS) -> None:
    """Let a block have that many rows of images."""
    monkeypatch.setattr("digits.data.lines.FIRST_BLOCK", rows * pixels * 4)
    monkeypatch.setattr("digits.data.lines.BLOCK", rows * pixels * 4)
    monkeypatch.setattr("stages.prepare.BLOCK", rows)


def test_rows_on_both_sides_are_counted_and_warned_of(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare.main()
    assert capsys.readouterr().err == ""
    write_images(Path("test.csv"), draw_images(90)[0][:5])
    prepare.main()
    assert "warning: train.csv: 0 validation rows" in capsys.readouterr().err
    set_block(monkeypatch, rows=7)
    pixels, labels = draw_images(90)
    origins = np.r_[:60, :30]
    write_images(Path("train.csv"), pixels[origins], labels[origins])
    write_images(Path("test.csv"), np.concatenate([draw_images(12, seed=1)[0], pixels[:60]]))
    prepare.main()
    training, validation = (origins[rows_of(part)] for part in PARTS)
    expected = np.isin(validation, training).sum()
    assert 0 < expected < 30
    assert json.loads((PREPARED / "counts.json").read_text()) == {
        "rows": {"training": 60, "validation": 30, "test": 72},
        "copies": {"validation_in_training": expected, "test_in_labelled": 60},
        "first_line": {"labelled": 2, "test": 2},
    }
    assert capsys.readouterr().err == (
        f"warning: train.csv: {expected} validation rows are training rows as well, and 60 rows of "
        "test.csv are in it; expected none: the scores are too good\n"
    )


def test_the_seed_decides_the_split_and_neither_blocks_nor_a_fraction_do(
    project: Path, write_params: ParamsWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for validation, seed, rows in ((30, 0, 1000), (1 / 3, 0, 7), (30, 1, 1000)):
        write_params({"prepare.validation": validation, "prepare.seed": seed})
        set_block(monkeypatch, rows)
        prepare.main()
        found.append(contents())
    first, again, other = found
    assert first == again
    assert first != other


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


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (500, "500: 500 of the 90 rows in train.csv; expected from 1 to 89"),
        (0.001, "0.001: 0 of the 90 rows in train.csv; expected from 1 to 89"),
        (89, r"89: 89 of the 90 rows leave none of class '\d' to train on; expected fewer"),
    ],
)
def test_a_split_that_leaves_too_little_is_refused(
    project: Path, write_params: ParamsWriter, validation: float, message: str
) -> None:
    write_params({"prepare.validation": validation})
    with pytest.raises(InputError, match=f"prepare.validation = {message}"):
        prepare.main()


def test_bad_input_leaves_what_was_prepared_before(project: Path) -> None:
    prepare.main()
    before = contents()
    with Path("test.csv").open("a") as file:
        file.write("x\n")
    with pytest.raises(InputError, match=r"^test.csv: row 14"):
        prepare.main()
    assert contents() == before
    assert [path.name for path in Path("data").iterdir()] == ["prepared"]
