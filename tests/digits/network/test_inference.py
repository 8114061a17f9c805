from pathlib import Path

import numpy as np
import pytest
import torch

from digits.errors import InputError
from digits.network.inference import infer, probabilities
from tests.conftest import new_network

IMAGES = torch.randn(10, 16, generator=torch.Generator().manual_seed(1))


def test_inference_in_blocks_gives_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_network([16, 5, 3])
    monkeypatch.setattr("digits.network.inference.BLOCK", 3)
    found = infer(model, IMAGES)
    assert torch.equal(found, model(IMAGES))
    assert not found.requires_grad


@pytest.mark.parametrize("pixel", [float("inf"), float("nan")])
def test_logits_that_are_not_finite_are_an_error_in_whichever_block(
    monkeypatch: pytest.MonkeyPatch, pixel: float
) -> None:
    monkeypatch.setattr("digits.network.inference.BLOCK", 3)
    images = IMAGES.clone()
    images[9] = pixel
    with pytest.raises(InputError, match=r"^a\.safetensors: .*not finite; expected a network that"):
        infer(new_network([16, 5, 3]), images, path=Path("a.safetensors"))
    with pytest.raises(InputError, match=r"^params.yaml: train.lr: .*lr, or else .*weight_decay$"):
        infer(new_network([16, 5, 3]), images)


def test_probabilities_sum_to_one_and_agree_with_their_logarithms() -> None:
    shares, logs = probabilities(torch.tensor([[0.0, 1.0, -200.0]]))
    assert shares.dtype == logs.dtype == np.float64
    assert shares.sum() == pytest.approx(1)
    assert np.exp(logs) == pytest.approx(shares)
    assert logs[0, 2] == pytest.approx(-201.3, abs=0.1)
