from pathlib import Path

import numpy as np
import pytest

from digits.errors import InputError
from digits.network.inference import infer
from tests.conftest import draw_network

IMAGES = np.random.default_rng(1).normal(size=(10, 16)).astype(np.float32)
NETWORKS = [draw_network([16, 5, 3], seed) for seed in range(3)]


def test_inference_in_blocks_gives_every_row_the_mean_over_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("digits.network.inference.BLOCK", 3)
    one, two, three = (network.answer(IMAGES) for network in NETWORKS)
    found = infer(NETWORKS, IMAGES)
    assert found.dtype == np.float32
    assert np.array_equal(found, ((one + two) + three) / np.float32(3))
    assert np.array_equal(infer(NETWORKS[:1], IMAGES), one)
    assert infer(NETWORKS, IMAGES[:0]).shape == (0, 3)


@pytest.mark.parametrize("pixel", [float("inf"), float("nan")])
def test_logits_that_are_not_finite_are_an_error_in_whichever_block(
    monkeypatch: pytest.MonkeyPatch, pixel: float
) -> None:
    monkeypatch.setattr("digits.network.inference.BLOCK", 3)
    images = IMAGES.copy()
    images[9] = pixel
    with pytest.raises(
        InputError, match=r"^a\.safetensors: .*not finite; expected a whole network"
    ):
        infer(NETWORKS, images, path=Path("a.safetensors"))
    with pytest.raises(InputError, match=r"^params.yaml: train.lr: .*lr, or else .*weight_decay$"):
        infer(NETWORKS, images)
