from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import scale
from benchmarks.measure import COLUMNS


def test_copies_are_the_same_images_with_their_labels_each_time_shifted_otherwise(
    tmp_path: Path,
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 784), dtype=np.uint8)
    rows = pd.DataFrame(pixels).add_prefix("pixel")
    rows.insert(0, "label", [7, 2, 1])
    scale.write_copies(tmp_path / "train.csv", rows, 50)
    table = pd.read_csv(tmp_path / "train.csv", dtype=np.uint8)
    assert table["label"].tolist() == [7, 2, 1] * 50
    assert table[:3].equals(rows.astype(np.uint8))
    images = table.filter(like="pixel").to_numpy()
    assert len(np.unique(images, axis=0)) == 150
    assert np.array_equal(np.sort(images[-3:]), np.sort(pixels))
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


def test_what_is_measured_again_takes_the_place_of_what_was_and_the_rest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "MEASURED", tmp_path / "scale.csv")
    first = [(factor, stage, "wall", 1.0) for factor in (1, 10) for stage in ("prepare", "train")]
    pd.DataFrame(first, columns=COLUMNS).to_csv(scale.MEASURED, index=False)
    again = pd.DataFrame(
        [(10, "train", "wall", seconds) for seconds in (2.0, 3.0)], columns=COLUMNS
    )
    together = scale.merge(again)
    assert list(together["value"]) == [1, 1, 1, 2, 3]
    assert pd.read_csv(scale.MEASURED).to_numpy().tolist() == together.to_numpy().tolist()
