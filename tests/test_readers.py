"""What the readers of users' files do with any bytes: give the right values, or refuse in one line.

Each check raises AssertionError where an independent reading of the same bytes gives other values;
any other exception than an `InputError` of one printable line is the reader's own fault.
"""

import csv
import gzip
import io
import os
import re
import zipfile
from functools import cache
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from digits.data.image_table import ImageTable
from digits.errors import InputError
from digits.pictures import framing, reading
from digits.pictures.reading import FORMATS
from digits.recogniser import Recogniser
from tests.conftest import zipped
from tests.digits.test_recogniser import RECOGNISER

SIDE = 6  # of the image that a picture becomes
NAMES = ("label", "digit", "class", "target", "y", "id", "imageid")
FIRST = (*NAMES, "", "unnamed: 0")  # of row numbers
ODD = (b"\xff\xfe", b"\xd9\xa1", b"1e9", b"nan", b'"', b"\n\n", b" 01")


def unpacked(content: bytes) -> str:
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    elif content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read(archive.namelist()[0])
    return content.decode("utf-8-sig").rstrip()  # blank lines at the end, of tabs as well


def check_images(content: bytes, path: Path) -> None:
    """Read images as Python reads each cell."""
    path.write_bytes(content)
    table = ImageTable(path, labelled=False)
    blocks = list(table.read())
    text = unpacked(content)
    separator = max(",\t;", key=re.split("[\r\n]", text, maxsplit=1)[0].count)
    file = io.StringIO(text, newline="")
    rows = list(csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True))
    rows = [row[:-1] if len(row) > 1 and not row[-1].strip() else row for row in rows]
    number = re.compile(r"\s*[+-]?[0-9]*\.?[0-9]+\.?([eE][+-]?[0-9]+)?\s*")
    bare = all(map(number.fullmatch, rows[0]))
    names = [] if bare else [name.strip().lower() for name in rows.pop(0)]
    known = [name in (NAMES if place else FIRST) for place, name in enumerate(names)]
    chosen = [place for place in range(len(rows[0])) if not (names and known[place])]
    if not names and len(chosen) != isqrt(len(chosen)) ** 2:
        chosen = chosen[1:]
    assert table.columns.pixels == chosen
    values = np.array([[float(row[place]) for place in chosen] for row in rows])
    pixels = np.concatenate([block.pixels for block in blocks])
    assert np.abs(values * (255 if table.scaled else 1) - pixels).max() <= 1e-3
    labels = [label for block in blocks for label in block.labels]
    for found, row in zip(labels, rows if labels else [], strict=True):
        given_label = row[table.columns.label or 0].strip()
        assert found == given_label or int(found) == float(given_label)


def check_picture(content: bytes, path: Path) -> None:
    """Read a picture. No other reader knows what is to come out: an image that is not blank."""
    path.write_bytes(content)
    # Of 400 pixels: it is ten times as fast.
    with patch.object(reading, "LARGEST", 60), patch.object(framing, "LARGEST", 60):
        digits = framing.find_digits(path, SIDE)
    assert digits
    for digit in digits:
        assert digit.views.dtype == np.uint8
        assert digit.views.shape[1:] == (SIDE * SIDE,)
        assert (np.ptp(digit.views, axis=1) > 0).all()


def draw_pictures() -> list[bytes]:
    colours = np.full((12, 9, 3), 220, dtype=np.uint8)
    colours[2:10, 4:6] = (20, 30, 90)
    exif = Image.Exif()
    exif.update({0x010F: "maker", 0x0112: 6, 0x011A: 72.5})  # maker, orientation, resolution
    exif.get_ifd(0x8825).update({0x0001: "N", 0x0002: (52.0, 30.0, 1.5)})  # the place
    found = []
    for kind in FORMATS:
        file = io.BytesIO()
        Image.fromarray(colours).save(file, format=kind, exif=exif)
        found.append(file.getvalue())
    return found


def check_recogniser(content: bytes, path: Path) -> None:
    """Read a recogniser, and ask it: what it answers is to be finite."""
    path.write_bytes(content)
    recogniser = Recogniser.load(path)
    pixels = np.full((2, recogniser.description.statistics.pixels), 255, np.uint8)
    assert np.isfinite(recogniser.answer(pixels)).all()
    assert Recogniser.load(path).encode() == recogniser.encode()


READERS = {"images": check_images, "picture": check_picture, "recogniser": check_recogniser}


@cache
def examples(reader: str) -> list[bytes]:
    """Return bytes that a reader accepts, to start from."""
    if reader == "images":
        table = b"label,pixel0,pixel1,pixel2,pixel3\n0,0,1,2,255\n2,3,4,5,6\n"
        scaled = b'"id"; "1x1";1x2;2x1;2x2;Label\r\na;0.0;1;0.2;0.6;x y\r\nb;0;0;4e-1;1e0;z\r\n'
        bare = b"3\t0.0\t1e2\t2\t255\r4\t5\t6\t7\t8\r"
        return [table, scaled, bare, gzip.compress(table, mtime=0), zipped(scaled)]
    return draw_pictures() if reader == "picture" else [RECOGNISER.encode()]


def check(reader: str, content: bytes) -> bool:
    """Return whether a reader took the bytes."""
    with TemporaryDirectory() as folder:
        try:
            READERS[reader](content, Path(folder, "file"))
        except InputError as error:
            message = str(error)
            assert message.isprintable(), repr(message)
            assert len(message) < 1000, repr(message)
            return False
    return True


@pytest.mark.parametrize("reader", READERS)
def test_every_example_is_accepted(reader: str) -> None:
    assert all(check(reader, content) for content in examples(reader))


@st.composite
def changed(draw: st.DrawFn, reader: str) -> bytes:
    """Draw an example with a few bytes changed, cut out or put in."""
    content = draw(st.sampled_from(examples(reader)))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        put_in = draw(st.binary(max_size=4) | st.sampled_from(ODD))
        content = content[:start] + put_in + content[start + draw(st.integers(0, 4)) :]
    return content


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
# More tries with TRIES=20000 in the environment.
@settings(
    max_examples=int(os.environ.get("TRIES") or "150"),
    derandomize=not os.environ.get("TRIES"),
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_any_bytes_are_read_right_or_refused_in_one_line(reader: str, data: st.DataObject) -> None:
    check(reader, data.draw(st.binary(max_size=200) | changed(reader)))
