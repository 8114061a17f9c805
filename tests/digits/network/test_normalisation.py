import pytest
import torch
from torch import Tensor
from torch.nn import functional

from digits.exact import rounded
from digits.network.normalisation import Normalised, fold

ROWS, WIDTH = 600, 6


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Draw multiples of one unit, as a product of matrices has them."""
    return rounded(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), 20)


VALUES = draw(ROWS, WIDTH) * torch.arange(1, WIDTH + 1) + 1
GAINS, ERRORS = draw(WIDTH, seed=1), draw(ROWS, WIDTH, seed=2) + 0.25


def normalise(values: Tensor) -> tuple[Normalised, Tensor, Tensor]:
    """Return normalised values, and the running statistics."""
    means, variances = torch.zeros(WIDTH), torch.ones(WIDTH)
    return Normalised.of(values.clone(), means, variances), means, variances


@pytest.fixture
def fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round to 20 bits."""
    monkeypatch.setattr("digits.network.normalisation.BITS", 20)


def test_each_unit_has_a_mean_of_0_and_a_deviation_of_1() -> None:
    found = normalise(VALUES)[0].scaled(torch.ones(WIDTH))
    assert torch.allclose(found.mean(dim=0), torch.zeros(WIDTH), atol=1e-3)
    assert torch.allclose(found.std(dim=0, correction=0), torch.ones(WIDTH), atol=1e-3)


def test_sums_are_of_12_bits() -> None:
    normalised, _, _ = normalise(VALUES)
    assert torch.equal(
        normalised.centred, rounded(VALUES - VALUES.double().mean(dim=0).float(), 12)
    )
    _, by_biases, _ = normalised.differentiate(ERRORS, GAINS)
    assert torch.equal(by_biases, rounded(ERRORS, 12).double().sum(dim=0).float())


def test_a_unit_that_never_changes_gives_0() -> None:
    normalised, _, _ = normalise(torch.ones(ROWS, WIDTH))
    assert not normalised.scaled(GAINS).any()
    assert all(found.isfinite().all() for found in normalised.differentiate(ERRORS, GAINS))


def test_values_and_running_statistics_are_those_of_torch(fine: None) -> None:
    normalised, means, variances = normalise(VALUES)
    running = torch.zeros(WIDTH).double(), torch.ones(WIDTH).double()
    expected = functional.batch_norm(VALUES.double(), *running, GAINS.double(), training=True)
    assert torch.allclose(normalised.scaled(GAINS).double(), expected, atol=1e-4)
    assert torch.allclose(means.double(), running[0], rtol=1e-6)
    assert torch.allclose(variances.double(), running[1], rtol=1e-4)


def expect_gradients() -> list[Tensor]:
    """Return the gradients by gains, biases and values that autograd finds, in float64."""
    leaves = [one.double().requires_grad_() for one in (GAINS, torch.zeros(WIDTH), VALUES)]
    gains, biases, values = leaves
    found = functional.batch_norm(values, None, None, gains, biases, training=True)
    return list(torch.autograd.grad(found, leaves, ERRORS.double()))


def test_gradients_are_those_of_autograd(fine: None) -> None:
    check_gradients(1e-4)


def test_with_12_bits_gradients_are_near_those_of_autograd() -> None:
    check_gradients(1e-2)


def check_gradients(tolerance: float) -> None:
    found = normalise(VALUES)[0].differentiate(ERRORS, GAINS)
    for one, expected in zip(found, expect_gradients(), strict=True):
        assert one.dtype == torch.float32
        assert (one - expected).norm() < tolerance * expected.norm()


def test_the_order_of_the_rows_changes_no_bit() -> None:
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(3))
    found, turned = normalise(VALUES), normalise(VALUES[order])
    assert torch.equal(turned[0].deviation, found[0].deviation)
    assert all(map(torch.equal, turned[1:], found[1:]))
    before, after = (
        one.differentiate(errors, GAINS)
        for one, errors in ((found[0], ERRORS), (turned[0], ERRORS[order]))
    )
    assert all(map(torch.equal, after[:2], before[:2]))
    assert torch.equal(after[2], before[2][order])


def test_a_folded_layer_gives_what_layer_and_running_statistics_gave() -> None:
    images, weights, biases = draw(ROWS, 4), draw(WIDTH, 4, seed=1), draw(WIDTH, seed=2)
    statistics = draw(WIDTH, seed=3), draw(WIDTH, seed=4).abs()
    expected = functional.batch_norm(images @ weights.T, *statistics, GAINS, biases)
    found = functional.linear(images, *fold(weights, biases, GAINS, *statistics))
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
