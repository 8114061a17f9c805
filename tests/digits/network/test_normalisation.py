import pytest
import torch
from torch import Tensor
from torch.nn import functional

from digits.exact import rounded
from digits.network.backpropagation import Layer
from digits.network.normalisation import Normalised

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


def test_sums_are_of_12_bits() -> None:
    normalised, _, _ = normalise(VALUES)
    expected = rounded(VALUES - VALUES.double().mean(dim=0).float(), 12)
    assert torch.equal(normalised.centred, expected)
    _, by_biases, _ = normalised.differentiate(ERRORS, GAINS)
    assert torch.equal(by_biases, rounded(ERRORS, 12).double().sum(dim=0).float())


def test_a_unit_that_never_changes_gives_0() -> None:
    normalised, _, _ = normalise(torch.ones(ROWS, WIDTH))
    assert not normalised.scaled(GAINS).any()
    assert all(found.isfinite().all() for found in normalised.differentiate(ERRORS, GAINS))


@pytest.mark.parametrize(("bits", "tolerance"), [(20, 1e-4), (12, 1e-2)])
def test_values_running_statistics_and_gradients_are_those_of_torch(
    monkeypatch: pytest.MonkeyPatch, bits: int, tolerance: float
) -> None:
    monkeypatch.setattr("digits.network.normalisation.BITS", bits)
    normalised, means, variances = normalise(VALUES)
    leaves = [one.double().requires_grad_() for one in (GAINS, torch.zeros(WIDTH), VALUES)]
    gains, biases, values = leaves
    running = torch.zeros(WIDTH).double(), torch.ones(WIDTH).double()
    expected = functional.batch_norm(values, *running, gains, biases, training=True)
    gradients = torch.autograd.grad(expected, leaves, ERRORS.double())
    found = (normalised.scaled(GAINS), means, variances, *normalised.differentiate(ERRORS, GAINS))
    for one, other in zip(found, (expected, *running, *gradients), strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < tolerance * other.norm()


def test_a_folded_layer_gives_what_layer_and_running_statistics_gave() -> None:
    images, weights, biases = draw(ROWS, 4), draw(WIDTH, 4, seed=1), draw(WIDTH, seed=2)
    statistics = draw(WIDTH, seed=3), draw(WIDTH, seed=4).abs()
    expected = functional.batch_norm(images @ weights.T, *statistics, GAINS, biases)
    layer = Layer(weights.T, biases, (GAINS, *statistics))
    found = functional.linear(images, *layer.folded())
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
