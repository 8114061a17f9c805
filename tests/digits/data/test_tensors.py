from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.data.tensors import (
    RowWriter,
    Statistics,
    count_images,
    map_images,
    map_labelled,
    map_rows,
    read_images,
)
from digits.errors import InputError


def test_rows_come_back_as_they_were_appended(tmp_path: Path) -> None:
    rows = np.arange(30_000, dtype=np.float32).reshape(-1, 3)
    with RowWriter(tmp_path / "rows.npy", np.float32, (3,)) as writer:
        for block in np.array_split(rows, 7):
            writer.append(block)
    mapped = map_images(tmp_path / "rows.npy", pixels=3)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, rows)
    np.save(tmp_path / "saved.npy", rows)
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()


@pytest.mark.parametrize("rows", [1, 4096, 10_000])
def test_images_are_read_in_order_in_blocks(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "images.npy"
    images = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    np.save(path, images)
    blocks = list(read_images(path))
    assert count_images(path) == (rows, 3)
    assert max(map(len, blocks)) <= 4096
    assert np.array_equal(np.concatenate(blocks), images)


def test_what_is_not_finite_is_refused_in_whichever_block_it_is(tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    images = np.zeros((5000, 3), np.float32)
    images[4999, 2] = np.inf
    np.save(path, images)
    for read in (map_images, lambda path: list(read_images(path))):
        with pytest.raises(InputError, match=r"images\.npy: values that are not finite; expected"):
            read(path)


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    with (
        RowWriter(tmp_path / "rows.npy", np.float32, (3,)) as writer,
        pytest.raises(ValueError, match=r"rows of shape \(4,\) in a file of \(3,\)"),
    ):
        writer.append(np.zeros((2, 4)))


def test_mapped_rows_become_a_tensor_and_never_change_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((1, 3), dtype=np.float32))
    torch.from_numpy(map_images(path)).fill_(7)
    assert map_images(path).tolist() == [[0, 0, 0]]


def test_normalised_pixels_can_be_restored_exactly() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 256)
    statistics = Statistics(mean=33.4, std=78.6, pixels=256)
    images = statistics.normalise(pixels)
    assert images.dtype == np.float32
    assert images[0, 100] == np.float32((100 - 33.4) / 78.6)
    assert np.array_equal(statistics.restore(images), pixels)


def test_statistics_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    statistics = Statistics(mean=1 / 3, std=78.6, pixels=784)
    statistics.save(tmp_path / "statistics.json")
    assert Statistics.load(tmp_path / "statistics.json") == statistics
    assert statistics.side == 28


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "EOF while parsing"),
        ("[]", "Input should be an object"),
        ('{"mean": 1.5, "std": 2.5}', "pixels: Field required"),
        ('{"mean": 1.5, "std": 2.5, "pixels": 4, "more": 1}', "more: Extra inputs"),
        ('{"mean": "1.5", "std": 2.5, "pixels": 4}', "mean: Input should be a valid number"),
        ('{"mean": NaN, "std": 2.5, "pixels": 4}', "mean: Input should be"),
        ('{"mean": 1.5, "std": 0, "pixels": 4}', "std: Input should be greater than 0"),
        ('{"mean": 1.5, "std": 2.5, "pixels": 5}', "pixels = 5; expected a square number"),
        ("[" * 100_000, "recursion limit"),
    ],
)
def test_statistics_that_prepare_did_not_write_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "statistics.json"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"statistics\.json: .*{message}") as error:
        Statistics.load(path)
    assert "\n" not in str(error.value)


def save_labelled(folder: Path, images: NDArray[Any], labels: NDArray[Any]) -> None:
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)


def test_labelled_images_are_mapped(tmp_path: Path) -> None:
    save_labelled(tmp_path, np.ones((2, 4), np.float32), np.array([0, 2]))
    images, labels = map_labelled(tmp_path, classes=3, pixels=4)
    assert images.tolist() == [[1] * 4] * 2
    assert labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.ones((2, 4)), np.array([0, 2]), "images.npy: no float32 in 2 dimensions; expected"),
        (np.ones(4, np.float32), np.array([0, 2]), "images.npy: no float32 in 2 dimensions"),
        (np.ones((0, 4), np.float32), np.array([0, 2]), r"128 bytes for shape \(0, 4\); expected"),
        (np.ones((4, 2), np.float32).T, np.array([0, 2]), "images.npy: no float32 in 2 dim"),
        (np.ones((2, 9), np.float32), np.array([0, 2]), "images of 9 pixels; expected 4"),
        (np.full((2, 4), np.nan, np.float32), np.array([0, 2]), "values that are not finite"),
        (np.ones((2, 4), np.float32), np.array([0, 2, 1]), "3 labels; expected one for each of 2"),
        (np.ones((2, 4), np.float32), np.array([0, 3]), "labels from 0 to 3; expected 0 to 2"),
        (np.ones((2, 4), np.float32), np.array([-1, 2]), "labels from -1 to 2; expected 0 to 2"),
        (np.ones((2, 4), np.float32), np.array([0.0, 2]), "labels.npy: no int64 in 1 dimensions"),
    ],
)
def test_arrays_that_prepare_did_not_write_are_refused(
    tmp_path: Path, images: NDArray[Any], labels: NDArray[Any], message: str
) -> None:
    save_labelled(tmp_path, images, labels)
    with pytest.raises(InputError, match=message):
        map_labelled(tmp_path, classes=3, pixels=4)


@pytest.mark.parametrize("kept", [0, 5, 60, 200])
def test_an_array_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "images.npy"
    np.save(path, np.ones((20, 4), np.float32))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"images\.npy: .*; expected what prepare writes"):
        map_images(path)


@pytest.mark.parametrize(
    "header",
    ["(" * 9000, "'", "  \n {", "-" * 5000 + "1", "{'descr': ',,'}", f"(({'9' * 40}, 4))"],
    ids=range(6),
)
def test_a_header_that_is_not_as_written_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "images.npy"
    np.save(path, np.ones((20, 4), np.float32))
    content = path.read_bytes()
    for damaged in (header, content[10:128].decode().replace("(20, 4)", f"({'9' * 18}, 4)")):
        length = len(damaged).to_bytes(2, "little")
        path.write_bytes(content[:8] + length + damaged.encode() + content[128:])
        with pytest.raises(InputError, match=r"images\.npy: .*; expected what prepare writes"):
            map_images(path)


def test_rows_of_the_csv_are_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.array([1, 3, 4]))
    assert map_rows(tmp_path, count=3).tolist() == [1, 3, 4]


@pytest.mark.parametrize("rows", [[1, 3], [1, 4, 3], [1, 3, 3], [0, 3, 4]])
def test_rows_that_prepare_did_not_write_are_refused(tmp_path: Path, rows: list[int]) -> None:
    np.save(tmp_path / "rows.npy", np.array(rows))
    with pytest.raises(InputError, match=r"rows\.npy: not 3 rising rows; expected what prepare"):
        map_rows(tmp_path, count=3)
