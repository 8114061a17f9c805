"""What each reader of files must do with any bytes: give the right values, or refuse in one line.

Each function takes the bytes and a folder to put them in, and returns whether the reader took them.
It raises AssertionError where an independent reading of the same bytes gives other values, or where
they were refused in more than one printable line. Any other exception is the reader's own fault.
"""

import csv
import gzip
import io
import json
import re
import struct
import zipfile
from collections.abc import Callable
from contextlib import chdir, redirect_stdout
from functools import wraps
from math import isqrt
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from digits.data.answers import read_answers
from digits.data.image_table import ImageTable
from digits.data.submission import count_ids, read_submission
from digits.data.tensors import Statistics, map_images, read_images
from digits.errors import InputError
from digits.network.model import Ensemble, encode, load_model
from digits.network.training import begin, trained
from digits.params import Params, load_params
from digits.pictures import framing
from digits.pictures.classify import read as read_picture
from digits.pictures.reading import FORMATS
from tests.conftest import LABELS
from tests.sandbox import ROOT
from tools import recovery
from tools.ledger import stored

CLASSES, PIXELS, IMAGES = 3, 4, 3
LOCK = """schema: '2.0'
stages:
  predict:
    cmd: x
    deps:
    - {{path: a.csv, md5: 0123456789abcdef0123456789abcdef}}
    params: {{params.yaml: {{predict.shift: 0}}}}
    outs:
    - {{path: {}, md5: 0123456789abcdef0123456789abcdef}}
"""
SIDE = 6  # of the image that a picture becomes


def _or_refuse(check: Callable[[bytes, Path], None]) -> Callable[[bytes, Path], bool]:
    """Have `check` return whether the reader took the bytes; a refusal must be one line."""

    @wraps(check)
    def checked(content: bytes, folder: Path) -> bool:
        try:
            check(content, folder)
        except InputError as error:
            message = str(error)
            assert message.isprintable(), repr(message)
            assert len(message) < 1000, repr(message)
            return False
        return True

    return checked


def _zip(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.csv", content)
    return packed.getvalue()


def _unpack(path: Path) -> bytes:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        return gzip.decompress(content)
    if content[:2] == b"PK":
        with zipfile.ZipFile(path) as archive:
            files = [info for info in archive.infolist() if not info.filename.endswith("/")]
            [member] = [info for info in files if not info.filename.startswith("__MACOSX/")]
            return archive.read(member)
    return content


# By the first byte: how the rest is packed.
FORMS: dict[bytes, Callable[[bytes], bytes]] = {
    b"p": bytes,
    b"g": gzip.compress,
    b"z": _zip,
}
_NAMES = ("label", "digit", "class", "target", "y", "id", "imageid", "", "unnamed: 0")


def _cells(content: bytes) -> tuple[list[str], list[list[str]]]:
    """Read a table with the standard library's CSV reader; return its header, if any, and rows."""
    text = content.decode("utf-8-sig").rstrip()  # blank lines at the end, of tabs as well
    [first, *_] = re.split("[\r\n]", text, maxsplit=1)
    separator = max(",\t;", key=first.count)
    file = io.StringIO(text, newline="")
    rows = list(csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True))
    rows = [row[:-1] if len(row) > 1 and not row[-1].strip() else row for row in rows]
    names = [] if all(map(_is_number, rows[0])) else [name.strip().lower() for name in rows.pop(0)]
    return names, rows


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[0-9.eE+-]+", cell.strip()) is not None


@_or_refuse
def check_images(content: bytes, folder: Path) -> None:
    """Read images as Python reads each cell; the first byte says in which of the `FORMS`."""
    path = folder / "images.csv"
    path.write_bytes(FORMS.get(content[:1], bytes)(content[1:]))
    table = ImageTable(path, labelled=False)
    blocks = list(table.read())
    pixels = np.concatenate([block.pixels for block in blocks])
    labels = [label for block in blocks for label in block.labels]
    names, rows = _cells(_unpack(path))
    chosen = [place for place in range(len(rows[0])) if not (names and names[place] in _NAMES)]
    if not names and len(chosen) != isqrt(len(chosen)) ** 2:
        chosen = chosen[1:]
    assert table.columns.pixels == chosen
    values = np.array([[float(row[place]) for place in chosen] for row in rows])
    assert np.abs(values * (255 if table.scaled else 1) - pixels).max() <= 1e-3
    if table.columns.label is not None:
        texts = [row[table.columns.label].strip() for row in rows]
        assert all(
            found == text or int(found) == float(text)
            for found, text in zip(labels, texts, strict=True)
        )


@_or_refuse
def check_submission(content: bytes, folder: Path) -> None:
    """Read a submission."""
    path = folder / "submission.csv"
    path.write_bytes(content)
    codes = read_submission(path, count_ids(IMAGES), LABELS)
    names, rows = _cells(content)
    assert names == ["imageid", "label"]
    expected = [[str(row + 1), LABELS[code]] for row, code in enumerate(codes)]
    assert [[cell.strip() for cell in row] for row in rows] == expected


@_or_refuse
def check_params(content: bytes, folder: Path) -> None:
    """Read params."""
    path = folder / "params.yaml"
    path.write_bytes(content)
    params = load_params(path)
    assert isinstance(params, Params)
    expected = YAML(typ="safe").load(content.decode())
    assert json.loads(params.model_dump_json()) == expected


@_or_refuse
def check_weights(content: bytes, folder: Path) -> None:
    """Read a network's weights: a header of JSON, a line end, and data; or after a 0, the file."""
    header, _, data = content.partition(b"\n")
    framed = struct.pack("<Q", len(header)) + header + data
    path = folder / "mlp.safetensors"
    path.write_bytes(content[1:] if content.startswith(b"\0") else framed)
    model = load_model(path, PIXELS, CLASSES)
    [length] = struct.unpack("<Q", path.read_bytes()[:8])
    header, data = path.read_bytes()[8 : 8 + length], path.read_bytes()[8 + length :]
    entries = json.loads(header)
    del entries["__metadata__"]
    for name, value in model.state_dict().items():
        start, end = entries.pop(name)["data_offsets"]
        expected = np.frombuffer(data[start:end], "<f4").reshape(value.shape)
        assert np.isfinite(expected).all()
        assert np.array_equal(value.numpy(), expected)
    assert not entries


@_or_refuse
def check_tensors(content: bytes, folder: Path) -> None:
    """Map images, and read them block by block."""
    path = folder / "images.npy"
    path.write_bytes(content)
    images = map_images(path, PIXELS)
    expected = np.load(io.BytesIO(content), allow_pickle=False)
    assert images.dtype == expected.dtype == np.float32
    assert np.array_equal(images, expected)
    assert np.array_equal(np.concatenate(list(read_images(path))), expected)


@_or_refuse
def check_statistics(content: bytes, folder: Path) -> None:
    """Read what images were normalised with."""
    path = folder / "statistics.json"
    path.write_bytes(content)
    statistics = Statistics.load(path)
    assert statistics.model_dump() == json.loads(content)
    assert statistics.normalise(np.zeros(1, dtype=np.uint8)).shape == (1,)


@_or_refuse
def check_answers(content: bytes, folder: Path) -> None:
    """Read the labels of known images."""
    path = folder / "answers.csv"
    path.write_bytes(content)
    answers = read_answers(path)
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    assert header == ["sha256", "label"]
    assert answers == dict(rows)


@_or_refuse
def check_lock(content: bytes, folder: Path) -> None:
    """Put right what a dvc.lock names: no file outside the project and the cache may be touched."""
    project, cache = folder / "project", folder / "cache"
    project.mkdir()
    (project / "dvc.lock").write_bytes(content)
    # Outside, and in the cache under any hash of the example, the same bytes, which are damaged.
    canaries = [folder / "canary", folder / "canary.01234567.partial"]
    damaged = [stored(cache, md5) for md5 in set(re.findall("[0-9a-f]{32}", str(content)))]
    for path in (*canaries, *damaged):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"damaged")
    seam = patch.object(recovery, "find_cache", lambda: cache)
    try:
        with chdir(project), seam, redirect_stdout(io.StringIO()):
            recovery.mend_cache()
    finally:
        assert all(path.read_bytes() == b"damaged" for path in canaries)


@_or_refuse
def check_picture(content: bytes, folder: Path) -> None:
    """Read a picture. No other reader knows what is to come out: an image that is not blank."""
    path = folder / "picture"
    path.write_bytes(content)
    with patch.object(framing, "LARGEST", 60):  # of 400: it is ten times as fast
        digits = read_picture(str(path), SIDE)
    assert digits
    for digit in digits:
        assert digit.views.dtype == np.uint8
        assert digit.views.shape[1:] == (SIDE * SIDE,)
        assert (np.ptp(digit.views, axis=1) > 0).all()


READERS: dict[str, Callable[[bytes, Path], bool]] = {
    "images": check_images,
    "submission": check_submission,
    "params": check_params,
    "weights": check_weights,
    "tensors": check_tensors,
    "statistics": check_statistics,
    "answers": check_answers,
    "lock": check_lock,
    "picture": check_picture,
}


def examples(reader: str) -> list[bytes]:
    """Return bytes that a reader accepts, to start from."""
    makers: dict[str, Callable[[], list[bytes]]] = {
        "images": _examples_of_images,
        "submission": lambda: [b"ImageId,Label\n1,0\n2,2\n3,1\n"],
        "params": lambda: [path.read_bytes() for path in sorted((ROOT / "recipes").glob("*.yaml"))],
        "weights": _examples_of_weights,
        "tensors": _examples_of_tensors,
        "statistics": lambda: [b'{"mean": 33.5, "std": 78.25, "pixels": 4}'],
        "answers": lambda: [b"sha256,label\n" + b"0f" * 32 + b",7\n" + b"1e" * 32 + b",10\n"],
        "lock": lambda: [LOCK.format(path).encode() for path in ("a", "a/b")],
        "picture": _examples_of_pictures,
    }
    return makers[reader]()


def _examples_of_images() -> list[bytes]:
    table = b"label,pixel0,pixel1,pixel2,pixel3\n0,0,1,2,255\n2,3,4,5,6\n"
    scaled = b'"id"; "1x1";1x2;2x1;2x2;Label\r\na;0.0;1;0.2;0.6;x y\r\nb;0;0;4e-1;1e0;z\r\n'
    bare = b"3\t0.0\t1e2\t2\t255\r4\t5\t6\t7\t8\r"
    packed = b"p" + gzip.compress(table, mtime=0), b"p" + _zip(scaled)
    plain = (table, scaled, bare)
    return [*(b"p" + one for one in plain), b"g" + table, b"z" + scaled, *packed]


def _examples_of_weights() -> list[bytes]:
    train = load_params(ROOT / "recipes" / "seed.yaml").train
    train = train.model_copy(update={"widths": (2,)})
    model = Ensemble([trained(begin(PIXELS, CLASSES, train))])
    content = encode(model)
    [length] = struct.unpack("<Q", content[:8])
    return [content[8 : 8 + length] + b"\n" + content[8 + length :], b"\0" + content]


def _examples_of_tensors() -> list[bytes]:
    file = io.BytesIO()
    np.save(file, np.arange(2 * PIXELS, dtype=np.float32).reshape(2, PIXELS))
    return [file.getvalue()]


def _examples_of_pictures() -> list[bytes]:
    colours = np.full((12, 9, 3), 220, dtype=np.uint8)
    colours[2:10, 4:6] = (20, 30, 90)
    exif = Image.Exif()
    # Make, orientation, resolution, software, and of the lens and the place what has other types.
    exif.update({0x010F: "maker", 0x0112: 6, 0x011A: 72.5, 0x0131: "software"})
    exif.get_ifd(0x8769).update({0x829D: 2.8, 0x9003: "2026:01:01 00:00:00", 0x927C: b"notes"})
    exif.get_ifd(0x8825).update({0x0001: "N", 0x0002: (52.0, 30.0, 1.5)})
    files = [io.BytesIO() for _ in range(2 * len(FORMATS))]
    for number, (file, kind) in enumerate(zip(files, FORMATS * 2, strict=True)):
        plain = number < len(FORMATS) or kind in ("GIF", "BMP")
        Image.fromarray(colours).save(file, format=kind, **({} if plain else {"exif": exif}))
    return sorted({file.getvalue() for file in files})
