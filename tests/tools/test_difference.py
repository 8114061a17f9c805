import io
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save

from tools.difference import describe


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
AB = {"a": ARRAY, "b": ARRAY}
FIVE = dict.fromkeys("abcde", 1)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("a.npy", npy(ARRAY), npy(ARRAY.astype(np.float64)), "other shapes or types"),
        ("a.npy", npy(ARRAY), npy(ARRAY * 2), "3 of 3 values, largest absolute difference 3"),
        ("a.npy", npy(ARRAY * 0), npy(ARRAY * -0.0), "the same values, written otherwise"),
        ("a.npy", npy(ARRAY), npy(ARRAY[:2]), "other shapes or types"),
        ("a.npy", npy(ARRAY), b"\x93NUMPY", "not to be read ("),
        ("m.safetensors", save(AB), save(AB | {"a": ARRAY - 2}), "3 of 6 values, largest absolut"),
        ("m.safetensors", save({"a": ARRAY}), save({"b": ARRAY}), "other shapes or types"),
        ("m.safetensors", save({"a": ARRAY}), b"", "not to be read ("),
        ("a.png", png(PIXELS), png(DOT), "1 of 20 pixels, by up to 12 of 255"),
        ("a.png", png(PIXELS), png(PIXELS[:2]), "5 x 4 pixels became 5 x 2"),
        ("a.png", png(PIXELS), b"", "not to be read ("),
        ("a.json", b'{"a": {"b": 1}, "d": 3}', b'{"a": {"b": 4}}', "a.b 1 became 4; d 3 became No"),
        (
            "a.json",
            json.dumps(FIVE).encode(),
            json.dumps(dict.fromkeys(FIVE, 2)).encode(),
            "a 1 became 2; b 1 became 2; c 1 became 2; and 2 more",
        ),
        ("a.json", b"{}", b"{ }", "the same values, written otherwise"),
        ("a.json", b"{}", b'{"a": null}', "a None became None"),
        ("a.json", b"{}", b"{", "not to be read ("),
        ("a.csv", b"a\n1\n2\n", b"a\n1\n3\n", "1 of 3 rows; row 3: '2' became '3'"),
        ("a.csv", b"a\n1\n", b"a\n", "2 rows became 1"),
        ("a.csv", b"a\n1\n", b"a\r\n1\n", "the same rows, ended otherwise"),
        ("a.csv", b"a\n1\n", b"", "2 rows became 0"),
        ("a.txt", b"a", b"bc", "1 bytes became 2"),
    ],
)
def test_a_difference_is_told_in_its_own_measure(
    name: str, old: bytes, new: bytes, words: str
) -> None:
    told = describe(name, old, new)
    assert told.startswith(words)
    assert "\n" not in told


EPOCHS = ["1,0.5,w1,d1,x", "2,0.4,w2,d2,x", "3,0.3,w3,d3,x"]


def curves(*epochs: str) -> bytes:
    header = "epoch,training_loss,weights_sha256,draws_sha256,data_sha256"
    return "\n".join([header, *epochs]).encode()


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        ([EPOCHS[0], "2,0.7,w8,d2,x", "3,0.6,w9,d3,x"], "from epoch 2 on: weights; 2 of 4 rows"),
        ([*EPOCHS[:2], "3,0.3,w3,d9,x"], "from epoch 3 on: draws; 1 of 4 rows"),
        (["1,0.7,w7,d7,y", "2,0.7,w8,d8,y", "3,0.6,w9,d9,y"], "from epoch 1 on: data; 3 of 4"),
        ([*EPOCHS[:2], "3,0.4,w3,d3,x"], "from epoch 3 on: training_loss; 1 of 4 rows"),
        ([*EPOCHS, "4,0.2,w4,d4,x"], "4 rows became 5"),
        ([EPOCHS[0], "2,0.4"], "from epoch 2 on: data; 4 rows became 3"),
    ],
)
def test_the_first_difference_between_trainings_has_a_name(epochs: list[str], words: str) -> None:
    assert describe("training.csv", curves(*EPOCHS), curves(*epochs)).startswith(words)
