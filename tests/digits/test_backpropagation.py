import pytest
import torch
from torch.nn import functional

from digits.backpropagation import backpropagate
from digits.model import MLP


def network(widths: list[int]) -> MLP:
    model = MLP(widths)
    model.reset(torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.37])
@pytest.mark.parametrize("rows", [1, 7, 56, 64])
@pytest.mark.parametrize(
    "widths", [[16, 20, 20, 20, 10], [784, 200, 10], [9, 3], [4, 2, 1]], ids=str
)
def test_gradients_are_those_of_autograd_to_the_last_bit_and_the_loss_all_but(
    widths: list[int], rows: int, label_smoothing: float
) -> None:
    model = network(widths)
    generator = torch.Generator().manual_seed(rows)
    images = torch.randn(rows, widths[0], generator=generator)
    labels = torch.randint(0, widths[-1], (rows,), generator=generator)
    expected = functional.cross_entropy(model(images), labels, label_smoothing=label_smoothing)
    wanted = torch.autograd.grad(expected, list(model.parameters()))
    loss, gradients = backpropagate(list(model.parameters()), images, labels, label_smoothing)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert len(gradients) == len(wanted)
    assert all(map(torch.equal, gradients, wanted))


def test_gradients_are_the_slopes_of_the_loss() -> None:
    parameters = [value.detach().double() for value in network([4, 8, 3]).parameters()]
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1])
    _, gradients = backpropagate(parameters, images, labels, 0.1)
    assert all(gradient.any() for gradient in gradients)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        entries = parameter.view(-1)
        for index, slope in enumerate(gradient.flatten().tolist()):
            losses = []
            for step in (1e-6, -2e-6, 1e-6):
                entries[index] += step
                losses.append(backpropagate(parameters, images, labels, 0.1)[0].item())
            assert slope == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-8)
