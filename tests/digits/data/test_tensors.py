from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.data.straightening import straighten
from digits.data.tensors import (
    Statistics,
    map_array,
    map_labels,
    map_pixels,
    read_pixels,
    write_blocks,
)
from digits.errors import InputError


@pytest.mark.parametrize("rows", [1, 4096, 10_000])
def test_rows_are_written_as_numpy_does_and_come_back(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "pixels.npy"
    images = np.arange(rows * 3).astype(np.uint8).reshape(rows, 3)
    write_blocks(path, np.uint8, images.shape, np.array_split(images, 7))
    np.save(tmp_path / "saved.npy", images)
    assert path.read_bytes() == (tmp_path / "saved.npy").read_bytes()
    mapped, blocks = map_pixels(tmp_path, pixels=3), list(read_pixels(tmp_path, pixels=3))
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, images)
    assert np.array_equal(np.concatenate(blocks), images)
    assert max(map(len, blocks)) <= 4096
    torch.from_numpy(mapped).fill_(7)
    assert np.array_equal(map_pixels(tmp_path, 3), images)


@pytest.mark.parametrize("straightened", [False, True])
def test_pixels_are_measured_straightened_and_normalised_exactly(straightened: bool) -> None:
    pixels = np.random.default_rng(0).permutation(256).astype(np.uint8).reshape(1, 256)
    straight = straighten(pixels) if straightened else pixels
    found = Statistics.measure([pixels, pixels], straightened=straightened)
    assert [found.mean, found.std] == pytest.approx([straight.mean(), straight.std()], rel=1e-15)
    assert (found.pixels, found.straightened) == (256, straightened)
    statistics = Statistics(mean=33.4, std=78.6, pixels=256, straightened=straightened)
    images = statistics.normalise(pixels)
    assert images.dtype == np.float32
    assert (straight != pixels).any() == straightened
    assert images[0].tolist() == [
        np.float32((pixel - 33.4) / 78.6) for pixel in straight[0].tolist()
    ]


def test_statistics_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    statistics = Statistics(mean=1 / 3, std=78.6, pixels=784, straightened=False)
    path.write_text(statistics.model_dump_json())
    assert Statistics.load(path) == statistics
    assert statistics.side == 28
    path.write_text(statistics.model_dump_json().replace("78.6", "0"))
    with pytest.raises(InputError, match=r"statistics\.json: .*; expected what prepare writes"):
        Statistics.load(path)


RIGHT = np.ones((2, 4), np.float32)


def read(folder: Path) -> list[int]:
    images = map_array(folder / "images.npy", np.float32, None, 4)
    labels: list[int] = map_labels(folder, 3, len(images)).tolist()
    return labels


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.ones((2, 4)), [0, 2], r"images.npy: float64 of shape \(2, 4\); expected float32 of"),
        (RIGHT[0], [0, 2], r"float32 of shape \(4,\); expected float32 of shape \(any, 4\)"),
        (RIGHT[:0], [0, 2], r"float32 of shape \(0, 4\); expected"),
        (RIGHT, [0, 2, 1], r"labels.npy: int64 of shape \(3,\); expected int64 of shape \(2\)"),
        (RIGHT, [0, 3], "labels from 0 to 3; expected 0 to 2"),
        (RIGHT, [-1, 2], "labels from -1 to 2; expected 0 to 2"),
    ],
)
def test_arrays_that_prepare_did_not_write_are_refused(
    tmp_path: Path, images: NDArray[Any], labels: list[int], message: str
) -> None:
    np.save(tmp_path / "images.npy", RIGHT)
    np.save(tmp_path / "labels.npy", np.array([0, 2]))
    assert read(tmp_path) == [0, 2]
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.array(labels))
    with pytest.raises(InputError, match=message):
        read(tmp_path)
