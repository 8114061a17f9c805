import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load, save

from digits.errors import InputError
from digits.exact import quantise
from digits.network import int8
from digits.network.model import MLP, encode, load_model, mean, save_model
from tests.conftest import draw_weights


def multiply(
    values: NDArray[np.float32], bits: int, weights: NDArray[np.float32], bias: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return what a linear layer makes of values of so many bits, and of weights of 6."""
    rows, columns = (quantise(one, most, 1) for one, most in ((values, bits), (weights, 6)))
    wide = rows.values.astype(np.float64) @ columns.values.astype(np.float64).T
    return wide.astype(np.float32) + bias


def test_hidden_layers_are_rectified_logits_are_not_and_rows_are_rounded_each_alone() -> None:
    first, last = layers = draw_weights([40, 50, 3])
    images = np.random.default_rng(7).normal(size=(6, 40)).astype(np.float32)
    images[0] *= 1000  # with its unit the others would be 0
    plain = np.maximum(images @ first[0].T + first[1], 0) @ last[0].T + last[1]
    network = MLP.of(layers)
    found = network.answer(images)
    assert (np.abs(found - plain).max(1) < 0.05 * np.abs(plain).max(1)).all()
    assert np.array_equal(multiply(np.maximum(multiply(images, 8, *first), 0), 6, *last), found)
    assert (found < 0).any()
    assert np.array_equal(np.concatenate([network.answer(image[None]) for image in images]), found)


def test_numpy_and_torch_answer_alike_whatever_multiplies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(int8, "LARGE", 0)
    monkeypatch.setattr(int8, "_has_int8", lambda _: True)
    layers = draw_weights([784, 100, 70, 10])
    images = np.random.default_rng(0).normal(size=(50, 784)).astype(np.float32)
    theirs = MLP.of([(torch.from_numpy(one), torch.from_numpy(bias)) for one, bias in layers])
    found = MLP.of(layers).answer(images)
    assert np.array_equal(theirs.answer(torch.from_numpy(images)), found)
    assert np.array_equal(theirs.answer(torch.from_numpy(images), int8.product), found)


def test_a_mean_is_added_in_order_and_divided_once() -> None:
    terms = [np.array([one], np.float32) for one in (1, 2**-24, 2**-24)]
    assert mean(terms) == np.float32(1) / np.float32(3)
    assert mean(terms[:1]) == 1


@pytest.mark.parametrize(("widths", "networks"), [([4, 5, 3], 1), ([4, 3], 3), ([4, 5, 6, 3], 2)])
def test_networks_are_loaded_as_they_were_saved(
    tmp_path: Path, widths: list[int], networks: int
) -> None:
    saved = [draw_weights(widths, seed) for seed in range(networks)]
    save_model(saved, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == encode(saved)
    loaded = load_model(tmp_path / "model", pixels=4, classes=3)
    assert encode(loaded) == encode(saved)
    assert len(loaded) == networks
    for pixels, classes in ((9, 3), (4, 2)):
        message = f"a network from 4 pixels to 3 classes; expected {pixels} to {classes}"
        with pytest.raises(InputError, match=message):
            load_model(tmp_path / "model", pixels, classes)


WIDTHS, NETWORKS = [4, 5, 3], 2
TENSORS = load(encode([draw_weights(WIDTHS, seed) for seed in range(NETWORKS)]))


def named(widths: object = WIDTHS, networks: object = NETWORKS) -> dict[str, str]:
    return {"architecture": json.dumps({"widths": widths, "networks": networks})}


@pytest.mark.parametrize(
    "content",
    [
        b"not safetensors",
        save(TENSORS),
        save(TENSORS, {"architecture": "[2]"}),
        save(TENSORS | {"another": np.zeros(1)}, named()),
        save({}, {"architecture": "[" * 100_000}),
        save({f"a.{name}": values for name, values in TENSORS.items()}, named()),
        save({name: values.astype(np.float16) for name, values in TENSORS.items()}, named()),
        save({name: values * np.float32(np.nan) for name, values in TENSORS.items()}, named()),
        *(save(TENSORS, named([4, *more, 3])) for more in ([6], [5, 5], [0], [2**62], [5.0])),
        *(save(TENSORS, named(networks=networks)) for networks in (0, 1, 2**62, "2")),
        save(TENSORS, named("four")),
    ],
)
def test_files_that_do_not_hold_just_a_network_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model").write_bytes(content)
    for path in (tmp_path / "model", tmp_path / "missing"):
        with pytest.raises(InputError, match=r"expected a network that train wrote$") as error:
            load_model(path, 4, 3)
        assert str(error.value).isprintable()
