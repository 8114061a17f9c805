import hashlib
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from digits.network.draws import Draws

MANY = 200_001


def draws() -> Draws:
    return Draws(torch.Generator().manual_seed(0), torch.device("cpu"))


def hashed(values: Tensor) -> str:
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()[:12]


def test_normal_numbers_are_those_of_the_normal_distribution_and_pairs_are_independent() -> None:
    found = draws().normal(MANY)
    assert 4 < found.abs().max() < 4.26
    bounds = torch.tensor([-2.5, -1.0, -0.3, 0.0, 0.3, 1.0, 2.5])
    shares = (found[:, None] < bounds).double().mean(dim=0)
    assert torch.allclose(shares, torch.special.ndtr(bounds.double()), atol=0.004)
    pairs = draws().normal(2, MANY).double()
    for values in (pairs, pairs.square()):
        assert torch.corrcoef(values)[0, 1].item() == pytest.approx(0, abs=0.01)


def test_a_gpu_takes_its_draws_from_pinned_memory_and_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pinned, device = Mock(), torch.device("cuda")
    monkeypatch.setattr(Tensor, "pin_memory", lambda _: pinned)
    found = Draws(torch.Generator(), device).uniform(3)
    pinned.to.assert_called_once_with(device, non_blocking=True)
    assert found is pinned.to.return_value


def test_a_seed_gives_the_same_bytes_everywhere() -> None:
    assert hashed(draws().uniform(MANY)) == "b37f139deac7"
    assert hashed(draws().normal(MANY)) == "81fbda4930f1"
