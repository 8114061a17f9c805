import torch

from digits.exact import rounded
from digits.network.normalisation import Normalised
from tests.conftest import share_of

ROWS, WIDTH = 600, 6


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    """Draw multiples of one unit, as a product of matrices has them."""
    return rounded(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), 20)


def normalise(values: torch.Tensor) -> Normalised:
    share = share_of(len(values))
    return Normalised.of(values.clone(), torch.zeros(WIDTH), torch.ones(WIDTH), share)


def test_sums_are_of_12_bits_and_the_same_in_any_order() -> None:
    values, errors = draw(ROWS, WIDTH), draw(ROWS, WIDTH, seed=2) + 0.25
    normalised = normalise(values)
    expected = rounded(values - values.double().mean(dim=0).float(), 12)
    assert torch.equal(normalised.centred, expected)
    sums = normalised.differentiate(errors, draw(WIDTH))[:2]
    assert torch.equal(sums[1], rounded(errors, 12).double().sum(dim=0).float())
    turned = normalise(values.flip(0))
    assert torch.equal(turned.deviation, normalised.deviation)
    assert all(map(torch.equal, turned.differentiate(errors.flip(0), draw(WIDTH))[:2], sums))


def test_a_unit_that_never_changes_gives_0() -> None:
    normalised = normalise(torch.ones(ROWS, WIDTH))
    assert not normalised.scaled(draw(WIDTH)).any()
    found = normalised.differentiate(draw(ROWS, WIDTH), draw(WIDTH))
    assert all(one.isfinite().all() for one in found)
