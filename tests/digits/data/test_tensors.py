import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.data.straightening import straighten
from digits.data.tensors import (
    DIGESTS,
    PREPARED,
    Digests,
    Statistics,
    digest_rows,
    map_array,
    map_labels,
    map_pixels,
    read_pixels,
    write_blocks,
)
from digits.errors import InputError
from digits.files import write_json


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
    with pytest.raises(InputError, match=r"expected uint8 of shape \(any, 4\)$"):
        map_pixels(tmp_path, 4)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=f"^{path}: .*; expected what prepare writes$"):
        map_pixels(tmp_path, 3)


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


def test_images_of_one_grey_have_no_statistics_and_dark_ones_and_more_blocks_have() -> None:
    with pytest.raises(ValueError, match=r"^all training pixels are equal$"):
        Statistics.measure([np.full((2, 4), 7, np.uint8)], straightened=False)
    blocks = [np.array([[0, 1, 2, 3]], np.uint8), np.array([[3, 3, 3, 9]] * 2, np.uint8)]
    found = Statistics.measure(iter(blocks), straightened=False)
    everything = np.concatenate(blocks)
    assert [found.mean, found.std] == pytest.approx([everything.mean(), everything.std()])


def test_the_digest_of_rows_is_the_sum_of_each_ones_sha_256_in_any_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("digits.data.tensors.BLOCK", 3)
    images = np.random.default_rng(0).random((7, 4), np.float32)
    labels, sums = np.arange(7) % 3, [0] * 4
    for row, (image, label) in enumerate(zip(images, labels, strict=True), start=5):
        told = f"{row} {label} ".encode() + image.tobytes()
        parts = struct.unpack("<4Q", sha256(told).digest())
        sums = [(one + part) % 2**64 for one, part in zip(sums, parts, strict=True)]
    assert digest_rows(images, labels, first=5).tolist() == sums


def test_digests_are_loaded_as_prepare_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    PREPARED.mkdir(parents=True)
    written = {"training": [0, 1, 2, 2**64 - 1], "validation": [3, 4, 5, 2**64 - 2]}
    write_json(DIGESTS, written)
    assert [one.tolist() for one in Digests.load()] == list(written.values())
    assert {one.dtype for one in Digests.load()} == {np.dtype(np.uint64)}
    for wrong in ({}, written | {"training": [1]}, written | {"validation": [0, 0, 0, 2**64]}):
        write_json(DIGESTS, wrong)
        with pytest.raises(InputError, match=f"^{DIGESTS}: .*; expected what prepare writes$"):
            Digests.load()


def test_statistics_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    statistics = Statistics(mean=1 / 3, std=78.6, pixels=784, straightened=False)
    path.write_text(statistics.model_dump_json())
    assert Statistics.load(path) == statistics
    assert statistics.side == 28
    for old, new, reason in (
        ("78.6", "0", "greater"),
        ("784", "785", r"error, expected a square number \["),
    ):
        path.write_text(statistics.model_dump_json().replace(old, new))
        message = rf"statistics\.json: .*{reason}.*; expected what prepare writes"
        with pytest.raises(InputError, match=message):
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
