import io
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save

from proofs.difference import describe


def npy(array: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


ARRAY = np.array([1.0, 2.0, 3.0], dtype=np.float32)
PIXELS = np.zeros((4, 5), dtype=np.uint8)
DOT = np.where(np.arange(20).reshape(4, 5) == 7, 12, 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (
            "images.npy",
            npy(ARRAY),
            npy(ARRAY + np.array([0, 0, 0.5], dtype=np.float32)),
            "1 of 3 values, largest absolute difference 0.5",
        ),
        ("images.npy", npy(ARRAY * 0), npy(ARRAY * -0.0), "the same values, written otherwise"),
        ("images.npy", npy(ARRAY), npy(ARRAY[:2]), "other shapes or types"),
        ("images.npy", npy(ARRAY), npy(ARRAY.astype(np.float64)), "other shapes or types"),
        ("images.npy", npy(ARRAY), b"\x93NUMPY", "not to be read ("),
        (
            "mlp.safetensors",
            save({"a": ARRAY, "b": ARRAY}),
            save({"a": ARRAY - 2, "b": ARRAY}),
            "3 of 6 values, largest absolute difference 2",
        ),
        ("mlp.safetensors", save({"a": ARRAY}), save({"b": ARRAY}), "other shapes or types"),
        ("mlp.safetensors", save({"a": ARRAY}), b"", "not to be read ("),
        ("a.png", png(PIXELS), png(DOT), "1 of 20 pixels, by up to 12 of 255"),
        ("a.png", png(PIXELS), png(PIXELS[:2]), "5 x 4 pixels became 5 x 2"),
        ("a.png", png(PIXELS), b"", "not to be read ("),
        (
            "a.json",
            json.dumps({"a": {"b": 1, "c": 2}, "d": 3}).encode(),
            json.dumps({"a": {"b": 1, "c": 4}, "e": 5}).encode(),
            "a.c 2 became 4; d 3 became None; e None became 5",
        ),
        (
            "a.json",
            json.dumps(dict.fromkeys("abcde", 1)).encode(),
            json.dumps(dict.fromkeys("abcde", 2)).encode(),
            "a 1 became 2; b 1 became 2; c 1 became 2; and 2 more",
        ),
        ("a.json", b"{}", b"{ }", "the same values, written otherwise"),
        ("a.json", b"{}", b'{"a": null}', "a None became None"),
        ("a.json", b'{"a": [1]}', b'{"a": [2]}', "a [1] became [2]"),
        ("a.json", b"{}", b"[" * 100_000, "not to be read ("),
        ("a.json", b"{}", b"{", "not to be read ("),
        ("a.csv", b"a\n1\n2\n", b"a\n1\n3\n", "1 of 3 rows; row 3: '2' became '3'"),
        ("a.csv", b"a\n1\n", b"a\n", "2 rows became 1"),
        ("a.csv", b"a\n1\n", b"a\r\n1\n", "the same rows, ended otherwise"),
        ("a.txt", b"a", b"bc", "1 bytes became 2"),
    ],
)
def test_a_difference_is_told_in_its_own_measure(
    name: str, old: bytes, new: bytes, words: str
) -> None:
    told = describe(name, old, new)
    assert told.startswith(words)
    assert "\n" not in told
