import hashlib

import pytest
import torch
from torch import Tensor

from digits.network.draws import Draws

MANY = 200_001


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), torch.device("cpu"))


def hashed(values: Tensor) -> str:
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()[:12]


def test_normal_numbers_are_those_of_the_normal_distribution() -> None:
    found = draws().normal(MANY)
    assert 4 < found.abs().max() < 4.26
    bounds = torch.tensor([-2.5, -1.0, -0.3, 0.0, 0.3, 1.0, 2.5])
    shares = (found[:, None] < bounds).double().mean(dim=0)
    assert torch.allclose(shares, torch.special.ndtr(bounds.double()), atol=0.004)


def test_the_two_numbers_of_a_pair_have_nothing_to_do_with_each_other() -> None:
    pairs = draws().normal(2, MANY).double()
    for values in (pairs, pairs.square()):
        assert torch.corrcoef(values)[0, 1].item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_seed_gives_the_same_bytes_everywhere(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert hashed(draws().uniform(MANY)) == "b37f139deac7"
        assert hashed(draws().normal(MANY)) == "81fbda4930f1"
    finally:
        torch.set_num_threads(before)
