import torch

from digits.exact import power_within, rounded
from digits.network.normalisation import Normalised
from tests.conftest import share_of

ROWS, WIDTH = 600, 6


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    """Draw multiples of one unit, as a product of matrices has them."""
    return rounded(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), 20)


def normalise(values: torch.Tensor) -> Normalised:
    share = share_of(len(values))
    width = values.shape[1]
    return Normalised.of(values.clone(), torch.zeros(width), torch.ones(width), share)


def test_sums_are_of_12_bits_and_the_same_in_any_order() -> None:
    values, errors = draw(ROWS, WIDTH) + 5, draw(ROWS, WIDTH, seed=2) + 0.25
    normalised = normalise(values)
    expected = rounded(values - values.double().mean(dim=0).float(), 12)
    assert torch.equal(normalised.centred, expected)
    sums = normalised.differentiate(errors, draw(WIDTH))[:2]
    wrong, deviation = rounded(errors, 12).double(), normalised.deviation.double()
    assert torch.equal(sums[0], ((wrong * expected).sum(dim=0) / deviation).float())
    assert torch.equal(sums[1], wrong.sum(dim=0).float())
    turned = normalise(values.flip(0))
    assert torch.equal(turned.deviation, normalised.deviation)
    assert all(map(torch.equal, turned.differentiate(errors.flip(0), draw(WIDTH))[:2], sums))


def test_running_means_move_by_a_tenth_of_the_exact_mean() -> None:
    values, means = draw(4099, WIDTH) + 5, torch.ones(WIDTH)
    Normalised.of(values.clone(), means, torch.ones(WIDTH), share_of(len(values)))
    assert torch.equal(means, 0.9 + values.double().mean(dim=0).float() * (1 - 0.9))


def test_the_power_of_what_passes_on_is_known_of_the_extremes() -> None:
    scales = torch.tensor([1, -8, 64])
    for gains, bias in ((scales, scales.flip(0)), (scales / 8, 9 * scales), (-scales, -scales)):
        values = draw(ROWS, 3) * torch.tensor([1.0, 4.0, 0.25])
        normalised = normalise(values)
        passed = (normalised.scaled(gains) + bias).relu()
        assert normalised.power_passed(gains, bias) == power_within(passed)


def test_a_unit_that_never_changes_gives_0() -> None:
    normalised = normalise(torch.ones(ROWS, WIDTH))
    assert not normalised.scaled(draw(WIDTH)).any()
    found = normalised.differentiate(draw(ROWS, WIDTH), draw(WIDTH))
    assert all(one.isfinite().all() for one in found)
