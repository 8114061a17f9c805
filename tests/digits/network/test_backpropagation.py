from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from digits.exact import Quantised, power_within, quantise
from digits.network import backpropagation, normalisation, workers
from digits.network.backpropagation import (
    Batch,
    Layer,
    backpropagate,
    cross_entropy,
    slope,
    view_layers,
)
from digits.network.draws import Draws
from digits.network.training import draw_network
from digits.network.workers import Share
from digits.params import Train
from tests.conftest import share_of, tiny_params


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def begin_draws() -> Draws:
    return Draws(torch.Generator().manual_seed(1), torch.device("cpu"))


def parts(layers: Sequence[Layer]) -> list[Tensor]:
    return [part for layer in layers for part in (layer.weights, layer.bias, *layer.norm)]


@dataclass(frozen=True)
class Case:
    """A network's numbers and a batch."""

    widths: tuple[int, ...]
    params: Train
    values: Tensor
    images: Tensor
    labels: Tensor

    @classmethod
    def draw(cls, widths: tuple[int, ...], rows: int, **changes: object) -> "Case":
        """Draw all, with gains and running statistics of all sizes."""
        params = Train(**tiny_params({})["train"] | changes)
        generator = torch.Generator().manual_seed(0)
        values = draw_network(widths, generator, batch_norm=params.batch_norm)
        for part in (part for layer in view_layers(values, widths) for part in layer.norm):
            part.add_(draw(len(part), seed=len(part)).abs() / 2)
        return cls(widths, params, values, draw(rows, widths[0]), torch.arange(rows) % widths[-1])

    def view_gradient(self, vector: Tensor) -> list[Layer]:
        """Return the layers of a vector but for running statistics."""
        statistics = 2 * sum(self.widths[1:-1]) if self.params.batch_norm else 0
        return view_layers(vector[: len(vector) - statistics], self.widths)

    def differentiate(self) -> tuple[Tensor, list[Layer], list[Tensor]]:
        """Return logits, gradient, and the running statistics after it."""
        gradient = self.view_gradient(torch.full_like(self.values, torch.nan))
        layers, share = view_layers(self.values.clone(), self.widths), share_of(len(self.labels))
        batch = Batch(self.images, self.labels, 2 * power_within(self.images), share)
        logits = backpropagate(layers, gradient, batch, begin_draws(), self.params)
        return logits, gradient, [one for layer in layers for one in layer.norm[1:]]

    def expect(self) -> tuple[Tensor, list[Layer], list[Tensor]]:
        """Return what `differentiate` does, of torch's own functions, in float64."""
        params, draws, leaf = self.params, begin_draws(), self.values.double().requires_grad_()

        def disturb(values: Tensor, deviation: float) -> Tensor:
            return values + draws.normal(*values.shape) * deviation if deviation else values

        found, statistics = disturb(self.images.double(), params.input_noise), list[Tensor]()
        for number, (weights, bias, norm) in enumerate(view_layers(leaf, self.widths), start=1):
            sums = found @ weights
            found = sums + bias
            if norm:
                mean, variance = running = [one.detach().clone() for one in norm[1:]]
                found = functional.batch_norm(sums, mean, variance, norm[0], bias, training=True)
                statistics += running
            if number < len(self.widths) - 1:
                found = disturb(found, params.hidden_noise).relu()
                if params.dropout:
                    kept = draws.uniform(*found.shape) >= params.dropout
                    found = torch.where(kept, found / (1 - params.dropout), 0)
        smoothing = params.label_smoothing
        loss = functional.cross_entropy(found, self.labels, label_smoothing=smoothing)
        [gradient] = torch.autograd.grad(loss, leaf)
        return found.detach(), self.view_gradient(gradient), statistics


def differ(found: Tensor, expected: Tensor) -> float:
    """Return the norm of a difference over the expected norm."""
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("widths", [(16, 12, 9, 10), (9, 3), (4, 20, 2)], ids=str)
@pytest.mark.parametrize(
    "knobs",
    [
        {"label_smoothing": 0.1},
        {"batch_norm": True},
        {"dropout": 0.3},
        {"batch_norm": True, "dropout": 0.3, "input_noise": 0.5, "hidden_noise": 0.5},
    ],
    ids=str,
)
def test_logits_and_gradients_are_those_of_autograd_but_for_few_bits(
    monkeypatch: pytest.MonkeyPatch, knobs: dict[str, object], widths: tuple[int, ...]
) -> None:
    case = Case.draw(widths, 256, **knobs)
    logits, layers, statistics = case.expect()
    assert 1e-3 < differ(case.differentiate()[0], logits) < 0.2
    monkeypatch.setattr(workers, "FORWARD_BITS", 20)
    for kind, bits in (("FORWARD_BITS", 20), ("IMAGE_BITS", 20), ("BACKWARD_BITS", (20, 20))):
        monkeypatch.setattr(backpropagation, kind, bits)
    monkeypatch.setattr(normalisation, "BITS", 20)
    found, gradient, moved = case.differentiate()
    assert differ(found, logits) < 1e-5
    # By layer: a small gradient would be lost beside a large one.
    for one, other in zip(parts(gradient) + moved, parts(layers) + statistics, strict=True):
        assert differ(one, other) < 1e-4


@pytest.mark.parametrize(
    ("disturbed", "expected"),
    [
        ({}, [2, 1, 1]),  # twice that of these images, as `Case` says, and of two hidden layers
        ({"input_noise": 0.5}, [1, 1]),
        ({"hidden_noise": 0.5}, [2]),
        ({"dropout": 0.5}, [2]),
    ],
    ids=str,
)
def test_powers_are_known_beforehand_where_nothing_disturbs_the_values(
    monkeypatch: pytest.MonkeyPatch, disturbed: dict[str, float], expected: list[float]
) -> None:
    plain, known = Share.quantise, list[float]()

    def watch(
        share: Share, values: Tensor, bits: int, power: Tensor | None = None
    ) -> Quantised[Tensor]:
        known.extend([] if power is None else [(power / power_within(values)).item()])
        return plain(share, values, bits, power)

    monkeypatch.setattr(Share, "quantise", watch)
    Case.draw((16, 12, 9, 10), 64, batch_norm=True, **disturbed).differentiate()
    assert known == expected


def test_what_draws_just_the_share_that_is_dropped_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Draws, "uniform", lambda _, *shape: torch.full(shape, 0.5))
    case = Case.draw((16, 12, 3), 64, dropout=0.5)
    assert differ(case.differentiate()[0], case.expect()[0]) < 0.2


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_loss_is_that_of_torch_row_by_row(smoothing: float) -> None:
    logits, labels = 9 * draw(20, 3), torch.arange(20) % 3
    expected = functional.cross_entropy(
        logits.double(), labels, label_smoothing=smoothing, reduction="none"
    )
    found = cross_entropy(logits, labels, *([smoothing] if smoothing else []))
    assert torch.allclose(found, expected, rtol=1e-9)


def test_a_unit_that_hardly_varied_is_folded_as_batch_norm_answers() -> None:
    weights, bias, gains, means = draw(3, 5), *(draw(5, seed=seed) for seed in (1, 2, 3))
    variances, images = torch.tensor([0.0, 1e-6, 1e-5, 1e-3, 1.0]), draw(4, 3, seed=4)
    folded, offset = Layer(weights, bias, [gains, means, variances]).folded()
    expected = functional.batch_norm(images @ weights, means, variances, gains, bias)
    assert torch.allclose(images @ folded.T + offset, expected, rtol=1e-4)


@pytest.mark.parametrize(("rows", "bits"), [(30, 12), (64, 12), (256, 10), (257, 9), (1025, 8)])
def test_products_are_of_8_bits_of_images_6_of_all_else_and_as_many_back_as_float32_has_room_for(
    rows: int, bits: int
) -> None:
    case = Case.draw((5, 7, 300), rows)
    layers = view_layers(case.values, case.widths)
    logits, [by_first, by_second], _ = case.differentiate()
    first, second = (quantise(layer.weights, 6).values.double() for layer in layers)
    inputs = Quantised.within(case.images, 2 * power_within(case.images), 8)  # of brighter ones
    hidden = (inputs.values.double() @ first).float() + layers[0].bias
    passed_on = quantise(hidden.relu(), 6).values.double()
    assert torch.equal(logits, (passed_on @ second).float() + layers[1].bias)
    wrong = quantise(slope(logits, case.labels, 0, rows), bits)
    assert torch.equal(by_second.weights, (passed_on.T @ wrong.values.double()).float())
    assert torch.equal(by_second.bias, wrong.values.double().sum(dim=0).float())
    errors = wrong.coarser(9).values.double() @ second.T  # fewer through a wide layer
    wrong = quantise(errors.float() * (hidden > 0), bits)
    moved = inputs.coarser(6).values.double().T @ wrong.values.double()
    assert torch.equal(by_first.weights, moved.float())
