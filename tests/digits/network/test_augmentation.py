from collections.abc import Callable
from math import exp, pi, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from digits.exact import power_within
from digits.network.affine import PLACES
from digits.network.augmentation import augment
from digits.network.draws import Draws
from digits.params import Augment
from tests.conftest import share_of

NONE = Augment(rotation=0, scale=0, shear=0, shift=0, elastic=0, smoothness=4)
ONE_AFTER_THE_OTHER = {"scale": 0.5, "shear": 0.5, "rotation": 90, "shift": 1}


def distort(images: Tensor, *, seed: int = 0, **strengths: Any) -> Tensor:
    draws = Draws(torch.Generator().manual_seed(seed), torch.device("cpu"))
    params, share = NONE.model_copy(update=strengths), share_of(len(images))
    return augment(images, power_within(images), params, draws, share)


@pytest.mark.parametrize("side", [5, 28, 32])
def test_strengths_of_0_leave_an_image_of_8_bits_alone(side: int) -> None:
    pixels = torch.randint(0, 256, (3, side * side), generator=torch.Generator().manual_seed(0))
    images = pixels / 64 - 2
    assert torch.equal(distort(images), images)


@pytest.mark.parametrize(
    ("drawn", "strengths", "source"),
    [
        (1, {"rotation": 90}, lambda x, y: (-y, x)),
        (0, {"rotation": 90}, lambda x, y: (y, -x)),
        (1, {"shift": 1}, lambda x, y: (x + 1, y + 1)),
        (1, {"scale": 0.5}, lambda x, y: (1.5 * x, 1.5 * y)),
        (0, {"scale": 0.5}, lambda x, y: (0.5 * x, 0.5 * y)),
        (1, {"shear": 0.5}, lambda x, y: (x + 0.5 * y, y)),
        (1, ONE_AFTER_THE_OTHER, lambda x, y: (1 - 1.5 * y, 1 + 1.5 * x + 0.75 * y)),
    ],
)
def test_each_strength_is_the_most_that_the_places_of_pixels_are_moved(
    monkeypatch: pytest.MonkeyPatch,
    drawn: int,
    strengths: dict[str, Any],
    source: Callable[..., tuple[Tensor, Tensor]],
) -> None:
    monkeypatch.setattr("torch.rand", lambda shape, **_: torch.full(shape, float(drawn)))
    places = torch.arange(5.0) - 2
    x, y = source(places.repeat(5), places.repeat_interleave(5))
    expected = 5 * (y.clamp(-2, 2) + 2) + x.clamp(-2, 2) + 2
    # Places are rounded along both axes, and one pixel down is 5 more.
    found = distort(torch.arange(25.0).view(1, 25), **strengths)[0]
    assert torch.allclose(found, expected, atol=6 / PLACES)


@pytest.mark.parametrize("smoothness", [0.8, 2.0, 3.0])
def test_elastic_displacements_are_smooth_and_as_strong_as_simards(smoothness: float) -> None:
    side, strength = 28, 5 * smoothness
    across = torch.arange(side, dtype=torch.float32).repeat(side).expand(2000, -1)
    down = torch.arange(side, dtype=torch.float32).repeat_interleave(side).expand(2000, -1)
    bent = [distort(one, elastic=strength, smoothness=smoothness) - one for one in (across, down)]
    moved, sides = bent[0].view(-1, side, side)[:, 8:20, 8:20], bent[1].view(-1, side, side)
    expected = pytest.approx(strength * sqrt(1 / 3) / (2 * smoothness * sqrt(pi)), rel=0.03)
    assert moved.std().item() == expected
    assert moved.mean().item() == pytest.approx(0, abs=0.1)
    assert sides[:, 8:20, [0, -1]].std().item() == expected
    for pair in ((moved[:, 1:], moved[:, :-1]), (moved[:, :, 1:], moved[:, :, :-1])):
        found = torch.corrcoef(torch.stack([part.flatten() for part in pair]))[0, 1].item()
        assert found == pytest.approx(exp(-1 / (4 * smoothness**2)), abs=0.01)


@pytest.mark.parametrize("strength", [{"scale": 0.5}, {"shift": 0.5}])
def test_both_axes_are_moved_by_draws_of_their_own(strength: dict[str, Any]) -> None:
    places = torch.arange(9.0)
    ramps = places.repeat(9).expand(200, -1), places.repeat_interleave(9).expand(200, -1)
    across, down = (distort(ramp, **strength)[:, 60] - ramp[:, 60] for ramp in ramps)
    assert across.std() > 0.05
    assert abs(torch.corrcoef(torch.stack([across, down]))[0, 1].item()) < 0.3


def test_each_image_is_distorted_in_its_own_way_and_the_same_from_the_same_seed() -> None:
    images = torch.rand(49, generator=torch.Generator().manual_seed(0)).repeat(5, 1)
    found, again, other = (distort(images, seed=seed, rotation=9, elastic=5) for seed in (0, 0, 1))
    assert len({image.numpy().tobytes() for image in found}) == 5
    assert torch.equal(found, again)
    assert not torch.equal(found, other)
    # Images are rounded to 8 bits.
    assert images.min() - 2**-9 <= found.min() < found.max() <= images.max() + 2**-9


@pytest.mark.parametrize("side", [7, 28])
def test_nothing_rounds_while_an_image_is_sampled(
    monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    sample = functional.grid_sample

    def sample_twice(pictures: Tensor, grid: Tensor, **options: Any) -> Tensor:
        found = sample(pictures, grid, **options)
        assert torch.equal(found.double(), sample(pictures.double(), grid.double(), **options))
        return found

    monkeypatch.setattr("digits.network.augmentation.functional.grid_sample", sample_twice)
    images = torch.randn(20, side * side, generator=torch.Generator().manual_seed(0))
    assert distort(images, rotation=30.0, scale=0.2, shift=2.0, elastic=30.0).shape == images.shape
