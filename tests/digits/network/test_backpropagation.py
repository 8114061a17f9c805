from math import log

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from digits.exact import quantise
from digits.network.backpropagation import Layers, backpropagate, cross_entropy, slope
from digits.network.draws import Draws
from digits.network.training import begin
from digits.params import Train
from tests.conftest import tiny_params

CPU = torch.device("cpu")
KNOBS = [
    {},
    {"label_smoothing": 0.1},
    {"batch_norm": True},
    {"dropout": 0.3},
    {"input_noise": 0.5},
    {"hidden_noise": 0.5},
    {"batch_norm": True, "dropout": 0.3, "input_noise": 0.5, "hidden_noise": 0.5},
]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def draw_batch(rows: int, widths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return draw(rows, widths[0]), torch.arange(rows) % widths[-1]


def begin_training(widths: tuple[int, ...], **changes: object) -> tuple[Train, Tensor]:
    """Return params, and a network's numbers, with gains and running statistics of all sizes."""
    changes = {"widths": widths[1:-1], **changes}
    params = Train(**tiny_params({})["train"] | changes)
    values = begin(widths[0], widths[-1], params).values
    layers = Layers.of(values, widths)
    for number, part in enumerate([*layers.gains, *layers.means, *layers.variances]):
        part.add_(draw(len(part), seed=number).abs() / 2)
    return params, values


def differentiate(
    values: Tensor, widths: tuple[int, ...], images: Tensor, labels: Tensor, params: Train
) -> tuple[Tensor, Tensor]:
    """Return logits and gradient, of one vector, in the order of `Layers`."""
    statistics = 2 * sum(widths[1:-1]) if params.batch_norm else 0
    gradient = torch.full_like(values[: len(values) - statistics], torch.nan)
    layers, by_layer = (Layers.of(one, widths) for one in (values.clone(), gradient))
    draws = Draws(torch.Generator().manual_seed(1), CPU)
    return backpropagate(layers, by_layer, images, labels, draws, params), gradient


def expect(
    values: Tensor, widths: tuple[int, ...], images: Tensor, labels: Tensor, params: Train
) -> tuple[Tensor, Tensor]:
    """Return what `differentiate` does, of torch's own functions, in float64, from its draws."""
    leaf = values.double().requires_grad_()
    layers = Layers.of(leaf, widths)
    draws = Draws(torch.Generator().manual_seed(1), CPU)

    def disturb(values: Tensor, deviation: float) -> Tensor:
        return values + draws.normal(*values.shape) * deviation if deviation else values

    found = disturb(images.double(), params.input_noise)
    for number, (weights, biases) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        if layers.gains and number < len(widths) - 2:
            sums, gains = found @ weights, layers.gains[number]
            found = functional.batch_norm(sums, None, None, gains, biases, training=True)
        else:
            found = found @ weights + biases
        if number < len(widths) - 2:
            found = disturb(found, params.hidden_noise).relu()
            if params.dropout:
                kept = draws.uniform(*found.shape) >= params.dropout
                found = torch.where(kept, found / (1 - params.dropout), 0)
    loss = functional.cross_entropy(found, labels, label_smoothing=params.label_smoothing)
    [gradient] = torch.autograd.grad(loss, leaf)
    statistics = 2 * sum(widths[1:-1]) if params.batch_norm else 0
    return found.detach(), gradient[: len(gradient) - statistics]


def differ(found: Tensor, expected: Tensor) -> float:
    """Return the norm of a difference over the expected norm."""
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("widths", [(16, 12, 9, 10), (9, 3), (4, 20, 2)], ids=str)
@pytest.mark.parametrize("knobs", KNOBS, ids=str)
def test_with_more_bits_logits_and_gradients_are_those_of_autograd(
    monkeypatch: pytest.MonkeyPatch, knobs: dict[str, object], widths: tuple[int, ...]
) -> None:
    monkeypatch.setattr("digits.network.backpropagation.FORWARD_BITS", 20)
    monkeypatch.setattr("digits.network.backpropagation.IMAGE_BITS", 20)
    monkeypatch.setattr("digits.network.backpropagation.BACKWARD_BITS", (20, 20))
    monkeypatch.setattr("digits.network.normalisation.BITS", 20)
    params, values = begin_training(widths, **knobs)
    batch = draw_batch(57, widths)
    found, expected = (do(values, widths, *batch, params) for do in (differentiate, expect))
    assert differ(found[0], expected[0]) < 1e-5
    assert found[1].shape == expected[1].shape
    # By layer: a small gradient would be lost beside a large one.
    for mine, theirs in zip(
        vars(Layers.of(found[1], widths)).values(),
        vars(Layers.of(expected[1], widths)).values(),
        strict=True,
    ):
        assert len(mine) == len(theirs)
        assert all(differ(one, other) < 1e-4 for one, other in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("knobs", KNOBS, ids=str)
def test_with_its_own_bits_the_gradient_still_points_where_autograds_does(
    knobs: dict[str, object],
) -> None:
    widths = (16, 40, 30, 10)
    params, values = begin_training(widths, **knobs)
    found, expected = (
        do(values, widths, *draw_batch(256, widths), params)[1] for do in (differentiate, expect)
    )
    assert 1e-3 < differ(found, expected) < 0.2


@pytest.mark.parametrize(("rows", "bits"), [(57, 12), (64, 12), (256, 10), (257, 9), (1025, 8)])
def test_products_are_of_8_bits_of_images_6_of_all_else_and_as_many_back_as_float32_has_room_for(
    rows: int, bits: int
) -> None:
    widths = (16, 3)
    params, values = begin_training(widths)
    # One class alone, so that its errors are larger than those of the others, whose unit is one.
    images, labels = draw(rows, 16), torch.zeros(rows, dtype=torch.int64)
    logits, gradient = differentiate(values, widths, images, labels, params)
    [weights], [biases] = (Layers.of(values, widths).weights, Layers.of(values, widths).biases)
    inputs, weights = quantise(images, 8), quantise(weights, 6).values.double()
    assert torch.equal(logits, (inputs.values.double() @ weights).float() + biases)
    wrong = quantise(slope(logits, labels, 0), bits).values.double()
    moved = inputs.coarser(6).values.double().T @ wrong
    expected = torch.cat([moved.flatten(), wrong.sum(dim=0)])
    assert torch.equal(gradient, expected.float())


def test_hidden_layers_pass_on_6_bits_and_errors_have_fewer_through_a_wide_layer() -> None:
    widths = (5, 7, 300)
    params, values = begin_training(widths)
    images, labels = draw_batch(30, widths)
    logits, gradient = differentiate(values, widths, images, labels, params)
    weights = Layers.of(values, widths).weights
    first, second = (quantise(one, 6).values.double() for one in weights)
    inputs = quantise(images, 8)
    biases = Layers.of(values, widths).biases
    hidden = (inputs.values.double() @ first).float() + biases[0]
    passed_on = quantise(hidden.relu(), 6).values.double()
    assert torch.equal(logits, (passed_on @ second).float() + biases[1])
    errors = quantise(slope(logits, labels, 0), 12).coarser(9).values.double() @ second.T
    wrong = quantise(errors.float() * (hidden > 0), 12).values.double()
    moved = inputs.coarser(6).values.double().T @ wrong
    assert torch.equal(Layers.of(gradient, widths).weights[0], moved.float())


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_order_of_a_batch_changes_no_bit_of_the_gradient(batch_norm: bool) -> None:
    widths = (16, 40, 30, 10)
    params, values = begin_training(widths, batch_norm=batch_norm, label_smoothing=0.1)
    images, labels = draw_batch(256, widths)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(2))
    found = differentiate(values, widths, images, labels, params)
    turned = differentiate(values, widths, images[order], labels[order], params)
    assert torch.equal(turned[0], found[0][order])
    assert torch.equal(turned[1], found[1])


def test_layers_are_views_of_all_of_a_vector() -> None:
    layers = Layers.of(torch.arange(3 * 2 + 2 * 4 + 2 + 4 + 3 * 2), (3, 2, 4))
    parts = [part for parts in vars(layers).values() for part in parts]
    assert [tuple(part.shape) for part in parts] == [(3, 2), (2, 4), (2,), (4,), (2,), (2,), (2,)]
    assert torch.cat([part.flatten() for part in parts]).tolist() == list(range(26))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.37])
@pytest.mark.parametrize("scale", [1e-3, 1, 100])
@pytest.mark.parametrize("classes", [1, 3, 10])
def test_loss_and_slope_are_those_of_torch(
    classes: int, scale: float, label_smoothing: float
) -> None:
    logits, labels = draw(23, classes) * scale, torch.arange(23) % classes
    leaf = logits.double().requires_grad_()
    expected = functional.cross_entropy(
        leaf, labels, label_smoothing=label_smoothing, reduction="none"
    )
    [gradient] = torch.autograd.grad(expected.mean(), leaf)
    found = cross_entropy(logits, labels, label_smoothing)
    assert found.dtype == torch.float64
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    slopes = slope(logits, labels, label_smoothing)
    assert slopes.dtype == torch.float32
    assert torch.allclose(slopes.double(), gradient, rtol=1e-6, atol=1e-9)


def test_without_label_smoothing_the_loss_is_that_of_the_label_alone() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, 200.0], [0.0, 200.0]])
    found = cross_entropy(logits, torch.tensor([0, 1, 0]))
    assert found.tolist() == pytest.approx([log(2), 0, 200], abs=1e-12)
