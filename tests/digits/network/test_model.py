import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from digits.errors import InputError
from digits.exact import quantise
from digits.network.model import MLP, Ensemble, load_model, save_model


def new_model(widths: list[int], seed: int = 0) -> MLP:
    model = MLP(widths)
    model.reset(torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize("hidden", [[], [5], [5, 4], [200, 200, 200]])
def test_there_is_a_layer_between_each_pair_of_widths(hidden: list[int]) -> None:
    widths = [9, *hidden, 3]
    model = MLP(widths)
    assert len(model.layers) == len(widths) - 1
    expected = sum(inputs * outputs + outputs for inputs, outputs in pairwise(widths))
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert model(torch.zeros(2, 9)).shape == (2, 3)


def multiply(values: Tensor, bits: int, layer: nn.Module) -> Tensor:
    """Return what a linear layer makes of values of so many bits, and of weights of 6."""
    weights, bias = layer.parameters()
    rows, columns = quantise(values, bits, dim=1), quantise(weights, 6, dim=1)
    return (rows.values.double() @ columns.values.double().T).float() + bias


def test_hidden_layers_are_rectified_logits_are_not_and_rows_are_rounded_each_alone() -> None:
    model = new_model([40, 50, 3])
    images = torch.randn(6, 40, generator=torch.Generator().manual_seed(7))
    images[0] *= 1000  # with its unit the others would be 0
    first, last = model.layers
    plain, found = last(nn.functional.relu(first(images))), model(images)
    assert ((found - plain).abs().amax(dim=1) < 0.05 * plain.abs().amax(dim=1)).all()
    assert torch.equal(multiply(multiply(images, 8, first).relu(), 6, last), found)
    assert (found < 0).any()
    assert torch.equal(torch.cat([model(image) for image in images.split(1)]), found)


def test_the_generator_alone_decides_the_weights() -> None:
    first, again, other = (new_model([4, 5, 3], seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    assert first["layers.0.weight"].abs().max() <= 4**-0.5
    assert first["layers.1.bias"].abs().max() <= 5**-0.5


def test_an_ensemble_gives_the_mean_of_its_networks_logits() -> None:
    networks = [new_model([4, 5, 3], seed) for seed in range(3)]
    images = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([network(images) for network in networks]).mean(dim=0)
    assert torch.allclose(Ensemble(networks)(images), expected)
    assert torch.equal(Ensemble(networks[:1])(images), networks[0](images))


def new_ensemble(widths: list[int], networks: int = 1) -> Ensemble:
    return Ensemble([new_model(widths, seed) for seed in range(networks)])


@pytest.mark.parametrize("networks", [1, 3])
def test_networks_are_loaded_as_they_were_saved_the_same_bytes_each_time(
    tmp_path: Path, networks: int
) -> None:
    model = new_ensemble([4, 5, 3], networks)
    save_model(model, tmp_path / "first")
    save_model(model, tmp_path / "again")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    loaded = load_model(tmp_path / "first", pixels=4, classes=3)
    assert loaded.widths == (4, 5, 3)
    assert len(loaded.networks) == networks
    assert torch.equal(loaded(torch.ones(1, 4)), model(torch.ones(1, 4)))


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ([4, 6, 3], r"'networks.0.layers.0.bias' is \('F32', \[5\]\), and not \('F32', \[6\]\)"),
        ([4, 5, 5, 3], "4 tensors for 1 x 3 layers"),
        ([4, 5], "4 tensors for 1 x 1 layers"),
        ([4, 2**62, 3], "'networks.0.layers.0.bias' is"),
        ("four", "widths = 'four'"),
        ([-4, 3], "widths ="),
        ([4, 0, 3], "widths ="),
        ([4, 5.0, 3], r"widths = \[4, 5.0, 3\]"),
        ([True, 5, 3], "widths ="),
        ([4], "widths ="),
        (None, "widths ="),
    ],
)
def test_weights_that_are_not_the_networks_are_refused(
    tmp_path: Path, widths: object, message: str
) -> None:
    path = tmp_path / "model.safetensors"
    metadata = {"architecture": json.dumps({"widths": widths, "networks": 1})}
    save_file(dict(new_ensemble([4, 5, 3]).state_dict()), path, metadata=metadata)
    with pytest.raises(InputError, match=message) as error:
        load_model(path, pixels=4, classes=3)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("networks", [0, -2, 1, 3, 2.0, True, None, 2**62])
def test_another_number_of_networks_than_there_are_is_refused(
    tmp_path: Path, networks: object
) -> None:
    path = tmp_path / "model.safetensors"
    metadata = {"architecture": json.dumps({"widths": [4, 3], "networks": networks})}
    save_file(dict(new_ensemble([4, 3], 2).state_dict()), path, metadata=metadata)
    message = f"networks = {networks}|4 tensors for {networks} x 1 layers"
    with pytest.raises(InputError, match=message):
        load_model(path, pixels=4, classes=3)


def test_files_that_hold_no_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; expected a network that train wrote"):
        load_model(tmp_path / "no.safetensors", 4, 3)
    (tmp_path / "bytes").write_bytes(b"not safetensors")
    save_file({"weight": torch.zeros(1)}, tmp_path / "bare")
    for name in ("bytes", "bare"):
        with pytest.raises(InputError, match="expected a network that train wrote"):
            load_model(tmp_path / name, 4, 3)


def test_an_architecture_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({}, path, metadata={"architecture": "[" * 100_000})
    with pytest.raises(InputError, match="recursion"):
        load_model(path, 4, 3)


def test_weights_of_another_type_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    halves = {name: value.half() for name, value in new_ensemble([4, 3]).state_dict().items()}
    metadata = {"architecture": json.dumps({"widths": [4, 3], "networks": 1})}
    save_file(halves, path, metadata=metadata)
    with pytest.raises(InputError, match="'F16'"):
        load_model(path, 4, 3)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = new_ensemble([4, 3], 2)
    model.state_dict()["networks.1.layers.0.bias"][1] = float("nan")
    save_model(model, tmp_path / "model")
    with pytest.raises(InputError, match=r"networks\.1\.layers\.0\.bias is not finite"):
        load_model(tmp_path / "model", 4, 3)


@pytest.mark.parametrize(("pixels", "classes"), [(9, 3), (4, 2)])
def test_a_network_for_other_images_is_refused(tmp_path: Path, pixels: int, classes: int) -> None:
    save_model(new_ensemble([4, 5, 3]), tmp_path / "model")
    message = f"a network from 4 pixels to 3 classes; expected {pixels} to {classes}"
    with pytest.raises(InputError, match=message):
        load_model(tmp_path / "model", pixels, classes)
