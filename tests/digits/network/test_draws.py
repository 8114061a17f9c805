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


def test_uniform_numbers_are_multiples_of_2_to_the_minus_24_from_0_to_below_1() -> None:
    found = draws().uniform(MANY)
    assert found.dtype == torch.float32
    assert torch.equal((found * 2**24).round() / 2**24, found)
    assert 0 <= found.min() < 1e-4
    assert 1 - 1e-4 < found.max() < 1
    assert torch.histc(found, 10, 0, 1) / MANY == pytest.approx(torch.full((10,), 0.1), abs=0.003)


def test_normal_numbers_are_those_of_the_normal_distribution() -> None:
    found = draws().normal(MANY)
    assert found.dtype == torch.float32
    assert 4 < found.abs().max() < 4.26
    moments = [(found.double() ** power).mean().item() for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.06)
    for bound in (-2.5, -1.0, -0.3, 0.0, 0.3, 1.0, 2.5):
        share = torch.special.ndtr(torch.tensor(bound)).item()
        assert (found < bound).double().mean().item() == pytest.approx(share, abs=0.004)


def test_the_two_numbers_of_a_pair_have_nothing_to_do_with_each_other() -> None:
    pairs = draws().normal(2, MANY).double()
    assert torch.corrcoef(pairs)[0, 1].item() == pytest.approx(0, abs=0.01)
    assert torch.corrcoef(pairs.square())[0, 1].item() == pytest.approx(0, abs=0.01)


def test_draws_come_in_their_shapes_and_go_on_where_those_before_ended() -> None:
    one = draws()
    found = [one.normal(3, 5, 7), one.normal(3, 5, 7), draws(1).normal(3, 5, 7), one.uniform(2, 4)]
    assert [tuple(values.shape) for values in found] == [*[(3, 5, 7)] * 3, (2, 4)]
    assert len(torch.cat([values.flatten() for values in found]).unique()) > 300


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_seed_gives_the_same_bytes_everywhere(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert hashed(draws().uniform(MANY)) == "b37f139deac7"
        assert hashed(draws().normal(MANY)) == "81fbda4930f1"
    finally:
        torch.set_num_threads(before)
