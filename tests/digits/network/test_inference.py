from pathlib import Path

import numpy as np
import pytest
import torch

from digits.errors import InputError
from digits.network.inference import infer, probabilities, shifted
from digits.network.model import MLP


def new_model(widths: list[int]) -> MLP:
    model = MLP(widths)
    model.reset(torch.Generator().manual_seed(0))
    return model


def test_inference_in_batches_gives_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_model([4, 5, 3])
    images = torch.randn(10, 4, generator=torch.Generator().manual_seed(1))
    whole = infer(model, images)
    monkeypatch.setattr("digits.network.inference.BLOCK", 3)
    assert torch.allclose(infer(model, images), whole)
    assert not whole.requires_grad


@pytest.mark.parametrize("bias", [float("inf"), float("nan")])
def test_logits_that_are_not_finite_are_an_error_in_whichever_block(
    monkeypatch: pytest.MonkeyPatch, bias: float
) -> None:
    monkeypatch.setattr("digits.network.inference.BLOCK", 3)
    images = torch.zeros(10, 4)
    images[9] = bias
    with pytest.raises(InputError, match=r"^a\.safetensors: .*not finite; expected a network that"):
        infer(new_model([4, 5, 3]), images, path=Path("a.safetensors"))


def test_probabilities_sum_to_one_and_agree_with_their_logarithms() -> None:
    shares, logs = probabilities(torch.tensor([[0.0, 1.0, -200.0]]))
    assert shares.dtype == logs.dtype == np.float64
    assert shares.sum() == pytest.approx(1)
    assert np.exp(logs) == pytest.approx(shares)
    assert logs[0, 2] == pytest.approx(-201.3, abs=0.1)


def test_an_image_is_shifted_in_every_way_and_keeps_its_edges() -> None:
    picture = np.arange(9.0).reshape(3, 3)
    found = [image.numpy().reshape(3, 3) for image in shifted(torch.tensor(picture).view(1, 9), 1)]
    rows = (np.array([0, 0, 1]), np.arange(3), np.array([1, 2, 2]))
    expected = [picture[np.ix_(down, across)] for down in rows for across in rows]
    assert np.array_equal(found, expected)


def test_logits_are_averaged_over_the_shifts() -> None:
    model = new_model([16, 5, 3])
    images = torch.randn(10, 16, generator=torch.Generator().manual_seed(1))
    answers = torch.stack([infer(model, moved) for moved in shifted(images, 2)])
    assert len(answers) == 25
    assert torch.allclose(infer(model, images, shift=2), answers.mean(dim=0), atol=1e-6)
    assert torch.equal(infer(model, images, shift=0), infer(model, images))
