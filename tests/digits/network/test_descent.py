from typing import Any

import pytest
import torch

from digits.network import descent
from digits.network.descent import Descent
from digits.params import Train
from tests.conftest import tiny_params

# Weights, biases, and of batch normalisation gains, means and variances.
WIDTHS, SIZES = (4, 5, 3), (4 * 5 + 5 * 3, 5 + 3 + 5, 2 * 5)


def begin(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Descent:
    """Return a descent from random numbers, whose blocks are small."""
    monkeypatch.setattr(descent, "BLOCK", 7)
    torch.manual_seed(0)  # of the gradients
    params = Train(**tiny_params({})["train"] | {"batch_norm": True, **changes})
    values = torch.randn(sum(SIZES), generator=torch.Generator().manual_seed(0))
    return Descent(values, WIDTHS, params)


def slopes(found: Descent) -> list[torch.Tensor]:
    layers = found.gradient
    return [*(one.weights for one in layers), *(one.bias for one in layers), layers[0].norm[0]]


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decayed", ["all", "weights"])
def test_a_step_is_that_of_torch_but_for_rounding(
    monkeypatch: pytest.MonkeyPatch, decayed: str, nesterov: bool
) -> None:
    found = begin(monkeypatch, weight_decay=0.1, decayed=decayed, nesterov=nesterov)
    *kinds, statistics = [kind.clone() for kind in found.values.split(SIZES)]
    decays = (0.1, 0.1 if decayed == "all" else 0)
    pairs = zip(kinds, decays, strict=True)
    groups = [{"params": [kind], "weight_decay": decay} for kind, decay in pairs]
    optimiser = torch.optim.SGD(groups, lr=0.2, momentum=0.9, nesterov=nesterov)
    for _ in range(4):
        drawn = torch.cat([part.normal_().flatten() for part in slopes(found)])
        kinds[0].grad, kinds[1].grad = drawn.split(SIZES[:2])
        found.step(torch.tensor(0.2), torch.tensor(0))
        optimiser.step()
    assert torch.allclose(found.values, torch.cat([*kinds, statistics]), atol=1e-6)


def test_averages_take_their_share_of_all_values(monkeypatch: pytest.MonkeyPatch) -> None:
    found = begin(monkeypatch, averaging=0.8)
    expected = found.values.clone()
    for share in (0.9, 0.2):
        for part in slopes(found):
            part.normal_()
        found.values[-SIZES[2] :] += 1  # as running statistics move
        found.step(torch.tensor(1.0), torch.tensor(share))
        expected += share * (found.values - expected)
    assert torch.allclose(found.averages, expected, atol=1e-5)
    assert not torch.allclose(found.values, expected, atol=1e-2)
