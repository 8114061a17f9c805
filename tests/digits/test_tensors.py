from pathlib import Path

import numpy as np
import pytest
import torch

from digits.tensors import RowWriter, Statistics, map_rows


def test_rows_come_back_as_they_were_appended(tmp_path: Path) -> None:
    rows = np.arange(30_000, dtype=np.float32).reshape(-1, 3)
    with RowWriter(tmp_path / "rows.npy", np.float32, (3,)) as writer:
        for block in np.array_split(rows, 7):
            writer.append(block)
    mapped = map_rows(tmp_path / "rows.npy")
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, rows)
    np.save(tmp_path / "saved.npy", rows)
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    with (
        RowWriter(tmp_path / "rows.npy", np.float32, (3,)) as writer,
        pytest.raises(ValueError, match=r"rows of shape \(4,\) in a file of \(3,\)"),
    ):
        writer.append(np.zeros((2, 4)))


def test_mapped_rows_become_a_tensor_and_never_change_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros(3))
    torch.from_numpy(map_rows(path)).fill_(7)
    assert map_rows(path).tolist() == [0, 0, 0]


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
