import pytest
import torch

from digits.network import descent
from digits.network.descent import Descent
from digits.network.workers import ALONE
from digits.params import Train
from tests.conftest import tiny_params

# Weights, biases, and of batch normalisation gains, means and variances.
WIDTHS, SIZES = (4, 5, 3), (4 * 5 + 5 * 3, 5 + 3 + 5, 2 * 5)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(("decayed", "decays"), [("all", (0.1, 0.1)), ("weights", (0.1, 0))])
def test_a_step_is_that_of_torch_and_averages_take_their_share_of_all_values(
    monkeypatch: pytest.MonkeyPatch, decayed: str, decays: tuple[float, ...], nesterov: bool
) -> None:
    monkeypatch.setattr(descent, "BLOCK", 7)
    changes = {"weight_decay": 0.1, "decayed": decayed, "nesterov": nesterov, "averaging": 0.8}
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(sum(SIZES), generator=generator)
    *kinds, statistics = [kind.clone() for kind in values.split(SIZES)]
    averages = values.clone()
    params = Train(**tiny_params({})["train"] | changes | {"batch_norm": True})
    found = Descent(values, WIDTHS, params, ALONE)
    [one, other], pairs = found.gradient, zip(kinds, decays, strict=True)
    groups = [{"params": [kind], "weight_decay": decay} for kind, decay in pairs]
    optimiser = torch.optim.SGD(groups, lr=0.2, momentum=0.9, nesterov=nesterov)
    for share in (0.9, 0.2, 0.2, 0.2):
        slopes = [one.weights, other.weights, one.bias, other.bias, one.norm[0]]
        drawn = torch.cat([part.normal_(generator=generator).flatten() for part in slopes])
        kinds[0].grad, kinds[1].grad = drawn.split(SIZES[:2])
        values[-SIZES[2] :] += 1  # as running statistics move
        found.step(torch.tensor(0.2), torch.tensor(share))
        optimiser.step()
        statistics += 1
        averages += share * (torch.cat([*kinds, statistics]) - averages)
    assert torch.allclose(values, torch.cat([*kinds, statistics]), atol=1e-6)
    assert torch.allclose(found.averages, averages, atol=1e-6)


def test_a_network_without_norms_and_averages_has_a_momentum_for_each_number() -> None:
    changes = {"batch_norm": False, "averaging": 0}
    params = Train(**tiny_params({})["train"] | changes)
    values = torch.ones(4 * 5 + 5 * 3 + 5 + 3)
    found = Descent(values, WIDTHS, params, ALONE)
    assert (len(found.momentum), len(found.averages)) == (len(values), 0)
    assert [len(layer.bias) for layer in found.gradient] == [5, 3]
