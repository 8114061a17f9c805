"""Every reader of files, given any bytes: drawn by hypothesis, or found by a search before."""

import base64
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from digits.errors import InputError
from tests import readers
from tests.readers import IMAGES, PIXELS, READERS, examples

# In base64: zip archives of a version to come, and with a file that has no name.
FOUND = {
    "version": (
        "WlBLAwQUAAAACADzeHZdoqujXB8AAAAoAAAACgAAAGltYWdlcy5jc3YryKxIzTDUAAgA83h2XaKro1wfAAAAKAAA"
        "mZrycgEAUEsBAhQDUEsGBwgA83h2XaKro1wfAAAAKAAAAAoAAAAAAAAAAAAAAIABAAAABmltYWdlcy5jc3ZQSwUG"
        "AAAAAAEAAQA4AAAARwAAAAAA"
    ),
    "name": (
        "WlBLAwQUAAAACABFeXZdoqujXB8AAAAoAAAAc3YryKxIzTHUKQBRRhDKGEKZ8HIZ6BjqGOkYmZrycgEAUEsBAhQD"
        "FAAAAAgARXl2XaKro1woAB8AAAAAAAoAAAAAdl2iq6NcKAAfAAAAAAAKAAAAAABjc3ZQSwUGAAAgAAEAAQA4AAAA"
        "RwAAAAAA"
    ),
}


def check(reader: str, content: bytes) -> bool:
    with TemporaryDirectory() as folder:
        return READERS[reader](content, Path(folder))


@pytest.mark.parametrize("found", FOUND)
def test_what_fuzzing_found_is_refused_in_one_line(found: str) -> None:
    assert not check("images", base64.b64decode(FOUND[found]))


@pytest.mark.parametrize("reader", READERS)
def test_every_example_is_accepted(reader: str) -> None:
    assert all(check(reader, content) for content in examples(reader))


HOSTILE = (b"../", b"..//", b"/dev/zero", b"\xff\xfe", b"2020-01-01", b"&a [*a]", b"1e9", b"null")


@cache
def any_of(reader: str) -> st.SearchStrategy[bytes]:
    """Return bytes of any kind, and examples with a few bytes changed, cut out or put in."""

    starts, put_in = examples(reader), st.binary(max_size=4) | st.sampled_from(HOSTILE)

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        content = draw(st.sampled_from(starts))
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, len(content)))
            end = start + draw(st.integers(0, 4))
            content = content[:start] + draw(put_in) + content[end:]
        return content

    return st.binary(max_size=200) | changed()


cells = st.integers(-1, 300).map(str) | st.sampled_from(
    ["", "01", "1.0", " 1", "x", "1e1", "\u0661"]
)
ends = st.sampled_from(["\n", "\r\n", "\n\n", "\r"])


@st.composite
def tables(draw: st.DrawFn, columns: list[str]) -> bytes:
    """Draw a table that is nearly right, and often wholly."""
    right = st.integers(0, 2).map(str)
    cell = draw(st.sampled_from([right, right, cells]))
    rows = draw(st.lists(st.lists(cell, min_size=len(columns), max_size=len(columns)), max_size=6))
    lines = [columns, *rows]
    end = draw(ends)
    text = end.join(",".join(line) for line in lines) + draw(st.sampled_from(["", end]))
    return text.encode()


# `make fuzz` sets the variable.
quick = settings(
    max_examples=int(os.environ.get("TRIES") or "150"),
    derandomize=not os.environ.get("TRIES"),
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@given(content=any_of("images"))
@quick
def test_images_are_read_right_or_refused_in_one_line(content: bytes) -> None:
    check("images", content)


@given(
    form=st.sampled_from(sorted(readers.FORMS)),
    content=tables(["label", *[f"pixel{number}" for number in range(PIXELS)]])
    | tables([f"pixel{number + 1}" for number in range(PIXELS)]),
)
@quick
def test_tables_of_images_are_read_as_another_reader_reads_them(
    form: bytes, content: bytes
) -> None:
    check("images", form + content)


@given(content=any_of("submission") | tables(["ImageId", "Label"]))
@example(content=b"ImageId,Label\n" + b"".join(b"%d,0\n" % (row + 1) for row in range(IMAGES)))
@quick
def test_submissions_are_read_right_or_refused_in_one_line(content: bytes) -> None:
    check("submission", content)


@given(content=any_of("params"))
@quick
def test_params_are_read_right_or_refused_in_one_line(content: bytes) -> None:
    check("params", content)


@pytest.mark.parametrize("reader", ["weights", "tensors", "statistics", "answers", "lock"])
@given(data=st.data())
@quick
def test_what_stages_write_is_read_right_or_refused_in_one_line(
    reader: str, data: st.DataObject
) -> None:
    check(reader, data.draw(any_of(reader)))


@given(content=any_of("picture"))
@quick
def test_pictures_are_read_or_refused_in_one_line(content: bytes) -> None:
    check("picture", content)


def wrong_value(*_: object) -> object:
    return np.zeros(IMAGES, dtype=np.int64)


def two_lines(*_: object) -> object:
    error = InputError("one")
    error.args = ("one\ntwo",)
    raise error


@pytest.mark.parametrize("fault", [wrong_value, two_lines])
def test_a_reader_that_is_wrong_would_be_found(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[..., object]
) -> None:
    monkeypatch.setattr(readers, "read_submission", fault)
    content = b"ImageId,Label\n" + b"".join(b"%d,1\n" % (row + 1) for row in range(IMAGES))
    with pytest.raises(AssertionError):
        check("submission", content)
