from pathlib import Path

import pytest

from benchmarks.floor import copy_time, operations, product_rate, step_time


def test_operations_are_two_for_each_weight_and_product() -> None:
    assert operations([5, 3], training=0, inference=1) == 2 * 15
    # Forward and the gradient by the weights; by the inputs only of the second layer.
    assert operations([5, 3, 2], training=1, inference=0) == 2 * (2 * 15 + 3 * 6)
    assert operations([5, 3, 2], training=10, inference=4) == 10 * 96 + 4 * 42


def test_a_rate_is_of_products_that_were_made() -> None:
    assert 1e8 < product_rate(0.01) < 1e14


def test_a_step_of_more_rows_takes_longer() -> None:
    assert 0 < step_time([64, 32, 10], 1, 0.05) < step_time([64, 32, 10], 5000, 0.05)


def test_a_copy_reads_every_file_and_takes_longer_for_more(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"one")
    large.write_bytes(bytes(50_000_000))
    assert 0 < copy_time([small], [small]) < copy_time([large], [large])
    with pytest.raises(FileNotFoundError):
        copy_time([tmp_path / "none"], [])
