import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from digits.errors import InputError
from digits.exact import quantise
from digits.network.model import Ensemble, encode, load_model, save_model
from tests.conftest import new_network


def multiply(values: Tensor, bits: int, layer: nn.Module) -> Tensor:
    """Return what a linear layer makes of values of so many bits, and of weights of 6."""
    weights, bias = layer.parameters()
    rows, columns = quantise(values, bits, dim=1), quantise(weights, 6, dim=1)
    return (rows.values.double() @ columns.values.double().T).float() + bias


def test_hidden_layers_are_rectified_logits_are_not_and_rows_are_rounded_each_alone() -> None:
    model = new_network([40, 50, 3])
    images = torch.randn(6, 40, generator=torch.Generator().manual_seed(7))
    images[0] *= 1000  # with its unit the others would be 0
    first, last = model.layers
    plain, found = last(nn.functional.relu(first(images))), model(images)
    assert ((found - plain).abs().amax(dim=1) < 0.05 * plain.abs().amax(dim=1)).all()
    assert torch.equal(multiply(multiply(images, 8, first).relu(), 6, last), found)
    assert (found < 0).any()
    assert torch.equal(torch.cat([model(image) for image in images.split(1)]), found)


def new_ensemble(widths: list[int], networks: int) -> Ensemble:
    return Ensemble([new_network(widths, seed) for seed in range(networks)])


@pytest.mark.parametrize(("widths", "networks"), [([4, 5, 3], 1), ([4, 3], 3), ([4, 5, 6, 3], 2)])
def test_an_ensemble_gives_the_mean_of_its_networks_and_is_loaded_as_it_was_saved(
    tmp_path: Path, widths: list[int], networks: int
) -> None:
    model, images = new_ensemble(widths, networks), torch.ones(1, 4)
    found = model(images)
    expected = torch.stack([network(images) for network in model.networks]).mean(dim=0)
    assert torch.allclose(found, expected)
    save_model(model, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == encode(model)
    loaded = load_model(tmp_path / "model", pixels=4, classes=3)
    assert (loaded.widths, len(loaded.networks)) == (tuple(widths), networks)
    assert torch.equal(loaded(images), found)
    assert encode(loaded) == encode(model)
    for pixels, classes in ((9, 3), (4, 2)):
        message = f"a network from 4 pixels to 3 classes; expected {pixels} to {classes}"
        with pytest.raises(InputError, match=message):
            load_model(tmp_path / "model", pixels, classes)


WIDTHS, NETWORKS = [4, 5, 3], 2
TENSORS = dict(new_ensemble(WIDTHS, NETWORKS).state_dict())


def named(widths: object = WIDTHS, networks: object = NETWORKS) -> dict[str, str]:
    return {"architecture": json.dumps({"widths": widths, "networks": networks})}


@pytest.mark.parametrize(
    "content",
    [
        b"not safetensors",
        save(TENSORS),
        save(TENSORS, {"architecture": "[2]"}),
        save({}, {"architecture": "[" * 100_000}),
        save({f"a.{name}": values for name, values in TENSORS.items()}, named()),
        save({name: values.half() for name, values in TENSORS.items()}, named()),
        save({name: values / 0 for name, values in TENSORS.items()}, named()),
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
