import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save

from tools import difference
from tools.difference import CURVES, describe, first_difference
from tools.repository import git


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
        ("a.csv", b"a,b\n1\n", b"a,b\n1,2\n", "1 of 2 rows; row 2: '1' became '1,2'"),
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


HEADER = "epoch,training_loss,weights_sha256,draws_sha256,data_sha256\n"
EPOCHS = ["1,0.5,w1,d1,x", "2,0.4,w2,d2,x", "3,0.3,w3,d3,x"]


def curves(*epochs: str, header: str = HEADER) -> bytes:
    return (header + "".join(f"{epoch}\n" for epoch in epochs)).encode()


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        (EPOCHS, ""),
        ([EPOCHS[0], "2,0.7,w8,d2,x", "3,0.6,w9,d3,x"], "from epoch 2 on: weights"),
        ([EPOCHS[0], "2,0.4,w2,d2,x", "3,0.3,w3,d9,x"], "from epoch 3 on: draws"),
        (["1,0.7,w7,d7,x", "2,0.7,w8,d8,x", "3,0.6,w9,d9,x"], "from epoch 1 on: draws"),
        (["1,0.7,w7,d7,y", "2,0.7,w8,d8,y", "3,0.6,w9,d9,y"], "from epoch 1 on: data"),
        ([*EPOCHS[:2], "3,0.4,w3,d3,x"], "from epoch 3 on: training_loss"),
        ([*EPOCHS, "4,0.2,w4,d4,x"], ""),
        ([EPOCHS[0], "2,0.4"], "from epoch 2 on: data"),
    ],
)
def test_the_first_difference_between_trainings_has_a_name(epochs: list[str], words: str) -> None:
    old, new = curves(*EPOCHS), curves(*epochs)
    assert first_difference(old, new) == first_difference(new, old) == words
    if words:
        assert describe("training.csv", old, new).startswith(f"{words}; ")


@pytest.mark.parametrize(
    "other", [curves(header="epoch,training_loss\n"), b"", b"\xff", HEADER.encode()]
)
def test_a_training_of_before_is_told_by_its_rows_alone(other: bytes) -> None:
    old = curves("1,0.5", "2,0.4", header="epoch,training_loss\n")
    assert describe("training.csv", old, other) == f"3 rows became {len(other.splitlines())}"
    changed = old.replace(b"2,0.4", b"2,0.6")
    assert describe("training.csv", old, changed) == "1 of 3 rows; row 3: '2,0.4' became '2,0.6'"


def test_a_training_is_held_against_that_of_a_commit(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["difference", "HEAD"])
    difference.main()
    CURVES.parent.mkdir()
    CURVES.write_bytes(curves(*EPOCHS))
    git("add", str(CURVES))
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "Train")
    difference.main()
    assert capsys.readouterr().out == ""
    CURVES.write_bytes(curves(EPOCHS[0], "2,0.7,w8,d2,x", "3,0.6,w9,d3,x"))
    difference.main()
    told = "plots/training.csv: from epoch 2 on: weights; 2 of 4 rows; row 3: "
    assert capsys.readouterr().out.startswith(told)
