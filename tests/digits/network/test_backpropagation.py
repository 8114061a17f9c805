from collections.abc import Sequence
from math import log

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from digits.exact import quantise
from digits.network.backpropagation import (
    Layer,
    backpropagate,
    cross_entropy,
    slope,
    view_layers,
)
from digits.network.draws import Draws
from digits.network.training import draw_network
from digits.params import Train
from tests.conftest import tiny_params

Widths = tuple[int, ...]
Batch = tuple[Tensor, Tensor]
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


def draw_batch(rows: int, widths: Widths) -> Batch:
    return draw(rows, widths[0]), torch.arange(rows) % widths[-1]


def begin(widths: Widths, **changes: object) -> tuple[Train, Tensor]:
    """Return params, and a network's numbers, with gains and running statistics of all sizes."""
    params = Train(**tiny_params({})["train"] | changes)
    generator = torch.Generator().manual_seed(0)
    values = draw_network(widths, generator, batch_norm=params.batch_norm)
    for number, layer in enumerate(view_layers(values, widths)):
        for part in layer.norm:
            part.add_(draw(len(part), seed=number).abs() / 2)
    return params, values


def new_draws() -> Draws:
    return Draws(torch.Generator().manual_seed(1), torch.device("cpu"))


def parts(layers: Sequence[Layer]) -> list[Tensor]:
    return [part for layer in layers for part in (layer.weights, layer.bias, *layer.norm)]


def differentiate(
    values: Tensor, widths: Widths, batch: Batch, params: Train
) -> tuple[Tensor, list[Layer]]:
    """Return logits and gradient."""
    statistics = 2 * sum(widths[1:-1]) if params.batch_norm else 0
    gradient = view_layers(torch.full_like(values[: len(values) - statistics], torch.nan), widths)
    layers = view_layers(values.clone(), widths)
    return backpropagate(layers, gradient, *batch, new_draws(), params), gradient


def expect(
    values: Tensor, widths: Widths, batch: Batch, params: Train
) -> tuple[Tensor, list[Layer]]:
    """Return what `differentiate` does, of torch's own functions, in float64, from its draws."""
    leaf, draws, found = values.double().requires_grad_(), new_draws(), batch[0].double()

    def disturb(values: Tensor, deviation: float) -> Tensor:
        return values + draws.normal(*values.shape) * deviation if deviation else values

    found = disturb(found, params.input_noise)
    layers = view_layers(leaf, widths)
    for layer in layers:
        found = found @ layer.weights
        if layer.norm:
            gains = layer.norm[0]
            found = functional.batch_norm(found, None, None, gains, layer.bias, training=True)
        else:
            found = found + layer.bias
        if layer is not layers[-1]:
            found = disturb(found, params.hidden_noise).relu()
            if params.dropout:
                kept = draws.uniform(*found.shape) >= params.dropout
                found = torch.where(kept, found / (1 - params.dropout), 0)
    loss = functional.cross_entropy(found, batch[1], label_smoothing=params.label_smoothing)
    [gradient] = torch.autograd.grad(loss, leaf)
    statistics = 2 * sum(widths[1:-1]) if params.batch_norm else 0
    return found.detach(), view_layers(gradient[: len(gradient) - statistics], widths)


def differ(found: Tensor, expected: Tensor) -> float:
    """Return the norm of a difference over the expected norm."""
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("widths", [(16, 12, 9, 10), (9, 3), (4, 20, 2)], ids=str)
@pytest.mark.parametrize("knobs", KNOBS, ids=str)
def test_with_more_bits_logits_and_gradients_are_those_of_autograd(
    monkeypatch: pytest.MonkeyPatch, knobs: dict[str, object], widths: Widths
) -> None:
    monkeypatch.setattr("digits.network.backpropagation.FORWARD_BITS", 20)
    monkeypatch.setattr("digits.network.backpropagation.IMAGE_BITS", 20)
    monkeypatch.setattr("digits.network.backpropagation.BACKWARD_BITS", (20, 20))
    monkeypatch.setattr("digits.network.normalisation.BITS", 20)
    params, values = begin(widths, **knobs)
    batch = draw_batch(57, widths)
    found, expected = (do(values, widths, batch, params) for do in (differentiate, expect))
    assert differ(found[0], expected[0]) < 1e-5
    # By layer: a small gradient would be lost beside a large one.
    for one, other in zip(parts(found[1]), parts(expected[1]), strict=True):
        assert differ(one, other) < 1e-4


@pytest.mark.parametrize("knobs", KNOBS, ids=str)
def test_with_its_own_bits_the_gradient_still_points_where_autograds_does(
    knobs: dict[str, object],
) -> None:
    widths = (16, 40, 30, 10)
    params, values = begin(widths, **knobs)
    batch = draw_batch(256, widths)
    found, expected = (
        torch.cat([part.flatten() for part in parts(do(values, widths, batch, params)[1])])
        for do in (differentiate, expect)
    )
    assert 1e-3 < differ(found, expected) < 0.2


@pytest.mark.parametrize(("rows", "bits"), [(57, 12), (64, 12), (256, 10), (257, 9), (1025, 8)])
def test_products_are_of_8_bits_of_images_6_of_all_else_and_as_many_back_as_float32_has_room_for(
    rows: int, bits: int
) -> None:
    params, values = begin((16, 3))
    # One class alone, so that its errors are larger than those of the others, whose unit is one.
    images, labels = draw(rows, 16), torch.zeros(rows, dtype=torch.int64)
    logits, [gradient] = differentiate(values, (16, 3), (images, labels), params)
    [layer] = view_layers(values, (16, 3))
    inputs, weights = quantise(images, 8), quantise(layer.weights, 6).values.double()
    assert torch.equal(logits, (inputs.values.double() @ weights).float() + layer.bias)
    wrong = quantise(slope(logits, labels, 0), bits).values.double()
    moved = inputs.coarser(6).values.double().T @ wrong
    assert torch.equal(gradient.weights, moved.float())
    assert torch.equal(gradient.bias, wrong.sum(dim=0).float())


def test_hidden_layers_pass_on_6_bits_and_errors_have_fewer_through_a_wide_layer() -> None:
    widths = (5, 7, 300)
    params, values = begin(widths)
    images, labels = draw_batch(30, widths)
    logits, [gradient, _] = differentiate(values, widths, (images, labels), params)
    layers = view_layers(values, widths)
    first, second = (quantise(layer.weights, 6).values.double() for layer in layers)
    inputs = quantise(images, 8)
    hidden = (inputs.values.double() @ first).float() + layers[0].bias
    passed_on = quantise(hidden.relu(), 6).values.double()
    assert torch.equal(logits, (passed_on @ second).float() + layers[1].bias)
    errors = quantise(slope(logits, labels, 0), 12).coarser(9).values.double() @ second.T
    wrong = quantise(errors.float() * (hidden > 0), 12).values.double()
    assert torch.equal(gradient.weights, (inputs.coarser(6).values.double().T @ wrong).float())


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_order_of_a_batch_changes_no_bit_of_the_gradient(batch_norm: bool) -> None:
    widths = (16, 40, 30, 10)
    params, values = begin(widths, batch_norm=batch_norm, label_smoothing=0.1)
    images, labels = draw_batch(256, widths)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(2))
    found = differentiate(values, widths, (images, labels), params)
    turned = differentiate(values, widths, (images[order], labels[order]), params)
    assert torch.equal(turned[0], found[0][order])
    assert all(map(torch.equal, parts(turned[1]), parts(found[1])))


def test_layers_are_views_of_all_of_a_vector() -> None:
    layers = view_layers(torch.arange(3 * 2 + 2 * 4 + 2 + 4 + 3 * 2), (3, 2, 4))
    found = [[part.flatten().tolist() for part in parts([layer])] for layer in layers]
    hidden = [[*range(6)], [14, 15], [20, 21], [22, 23], [24, 25]]
    assert found == [hidden, [[*range(6, 14)], [16, 17, 18, 19]]]
    assert [layer.weights.shape for layer in layers] == [(3, 2), (2, 4)]


@pytest.mark.parametrize("label_smoothing", [0.0, 0.37])
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
    found, slopes = (one(logits, labels, label_smoothing) for one in (cross_entropy, slope))
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(slopes.double(), gradient, rtol=1e-6, atol=1e-9)


def test_without_label_smoothing_the_loss_is_that_of_the_label_alone() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, 200.0], [0.0, 200.0]])
    found = cross_entropy(logits, torch.tensor([0, 1, 0]))
    assert found.tolist() == pytest.approx([log(2), 0, 200], abs=1e-12)
