import pytest
import torch
from torch import Tensor, nn

from digits.model import MLP
from digits.regularisation import RegularisedMLP, fold

IMAGES = torch.rand(50, 6, generator=torch.Generator().manual_seed(1)) * 3 - 1


def network(
    widths: list[int],
    *,
    batch_norm: bool = False,
    dropout: float = 0,
    input_noise: float = 0,
    hidden_noise: float = 0,
) -> RegularisedMLP:
    generator = torch.Generator().manual_seed(0)
    model = RegularisedMLP(
        widths,
        generator,
        batch_norm=batch_norm,
        dropout=dropout,
        input_noise=input_noise,
        hidden_noise=hidden_noise,
    )
    model.reset(generator)
    return model


def hidden(model: RegularisedMLP) -> Tensor:
    """Return what the last layer of a network gets."""
    got: list[Tensor] = []
    handle = model.layers[-1].register_forward_pre_hook(lambda _, inputs: got.append(inputs[0]))
    model(IMAGES)
    handle.remove()
    return got[0].detach()


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_folded_network_is_plain_and_gives_the_same_logits(batch_norm: bool) -> None:
    model = network(
        [6, 8, 5, 3], batch_norm=batch_norm, dropout=0.5, input_noise=0.2, hidden_noise=0.1
    )
    for norm in model.norms:
        if isinstance(norm, nn.BatchNorm1d):
            nn.init.uniform_(norm.weight, -1, 2)
            nn.init.uniform_(norm.bias, -1, 1)
    for _ in range(20):
        model(IMAGES)
    plain = fold(model)
    assert type(plain) is MLP
    expected = model.eval()(IMAGES)
    assert torch.allclose(plain(IMAGES), expected, atol=1e-5)
    assert not torch.allclose(model.train()(IMAGES), expected, atol=1e-2)


def test_a_plain_network_is_its_own_fold() -> None:
    model = MLP([6, 3])
    assert fold(model) is model


def test_batch_normalisation_gives_each_unit_a_mean_of_0_and_a_deviation_of_1() -> None:
    model = network([6, 8, 5, 3], batch_norm=True, dropout=0)
    got: list[Tensor] = []
    model.norms[0].register_forward_hook(lambda _module, _inputs, output: got.append(output))
    model(IMAGES)
    assert torch.allclose(got[0].mean(dim=0), torch.zeros(8), atol=1e-5)
    assert torch.allclose(got[0].std(dim=0, correction=0), torch.ones(8), atol=1e-2)


def test_dropout_leaves_out_its_share_and_enlarges_the_rest() -> None:
    model = network([6, 8, 3], batch_norm=False, dropout=0.25)
    expected = hidden(model.eval())
    model.train()
    found = torch.stack([hidden(model) for _ in range(100)])
    stays = found != 0
    assert stays[:, expected > 0].float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert torch.allclose(found[stays], (expected / 0.75).expand(100, -1, -1)[stays])
    assert not torch.equal(found[0], found[1])


def test_noise_is_added_to_the_pixels_with_its_deviation_and_a_mean_of_0() -> None:
    model = network([6, 6, 3], input_noise=0.5)
    weights, bias = model.layers[0].parameters()
    nn.init.eye_(weights)
    nn.init.constant_(bias, 100)
    check_noise(torch.stack([hidden(model) for _ in range(50)]) - 100 - IMAGES)


def test_noise_is_added_to_the_hidden_units_before_their_relu() -> None:
    model = network([6, 400, 3], hidden_noise=0.5)
    _, bias = model.layers[0].parameters()
    nn.init.constant_(bias, 100)
    check_noise(hidden(model) - hidden(model.eval()))
    nn.init.constant_(bias, -100)
    assert not hidden(model.train()).any()


def check_noise(added: Tensor) -> None:
    assert added.mean().item() == pytest.approx(0, abs=0.02)
    assert added.std().item() == pytest.approx(0.5, abs=0.02)
