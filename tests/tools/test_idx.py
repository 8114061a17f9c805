import gzip
from pathlib import Path

import numpy as np
import pytest

from digits.data.mnist import write_idx
from digits.errors import InputError
from tests.conftest import read_images
from tools import idx

PIXELS = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4)
LABELS = np.array([2, 0, 1], np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder with images, gzipped, and their labels."""
    (tmp_path / "images.gz").write_bytes(gzip.compress(write_idx(PIXELS)))
    (tmp_path / "labels").write_bytes(write_idx(LABELS))
    return tmp_path


@pytest.mark.parametrize("labels", [["2", "0", "1"], []])
def test_images_and_labels_if_any_become_a_csv_file_that_prepare_reads(
    files: Path, labels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    idx.main(files / "images.gz", files / "labels" if labels else None, files / "train.csv")
    found, pixels = read_images(files / "train.csv")
    assert np.array_equal(pixels, PIXELS.reshape(3, 16))
    assert found == labels
    assert capsys.readouterr().out.startswith("3 images of 4 x 4 pixels; wrote ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images.gz", b"no archive", "images.gz: Not a gzipped file"),
        ("images.gz", gzip.compress(write_idx(LABELS)), "begins with 00 00 08 01; expected an IDX"),
        ("images.gz", gzip.compress(write_idx(PIXELS)[:-1]), "of bytes with 3 dimensions"),
        ("images.gz", gzip.compress(write_idx(PIXELS[:, :2])), "of 2 x 4; expected square ones"),
        ("labels", write_idx(LABELS[:2]), "labels: 2 labels; expected 3, as in "),
    ],
)
def test_what_is_no_file_of_square_images_or_of_their_labels_is_refused(
    files: Path, name: str, content: bytes, message: str
) -> None:
    (files / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        idx.main(files / "images.gz", files / "labels", files / "train.csv")
    assert message in str(error.value)
    assert str(error.value).startswith(f"{files / name}: ")
    assert not (files / "train.csv").exists()
