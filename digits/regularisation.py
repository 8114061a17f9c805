"""Regularisation: the network while it is trained, with batch normalisation, noise and dropout.

When training is over it is folded into a plain network that gives the same logits, so that nobody
after training needs to know of either.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from digits.model import MLP


class RegularisedMLP(MLP):
    """A network whose hidden layers are normalised before their ReLU, and dropped after it.

    Batch normalisation is that of Ioffe and Szegedy (2015, "Batch normalization"), dropout that of
    Srivastava et al. (2014, "Dropout"): while training, each activation is 0 with the probability
    `dropout`, and the others are enlarged to keep their expected sum. Gaussian noise is added to
    the images, and to the hidden units after they were normalised, as Rasmus et al. have it (2015,
    "Semi-supervised learning with ladder networks", section 3).

    Attributes:
        norms: of the hidden layers; each leaves its inputs alone without batch normalisation.
        dropout: from 0 to below 1.
        input_noise: its deviation, 0 or more.
        hidden_noise: its deviation, 0 or more.
    """

    def __init__(
        self,
        widths: Sequence[int],
        generator: torch.Generator,
        *,
        batch_norm: bool,
        dropout: float,
        input_noise: float,
        hidden_noise: float,
    ) -> None:
        super().__init__(widths)
        hidden = widths[1:-1]
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(width) if batch_norm else nn.Identity() for width in hidden
        )
        self.dropout = dropout
        self.input_noise = input_noise
        self.hidden_noise = hidden_noise
        self._generator = generator

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (rows, classes), of images, shape (rows, pixels)."""
        *hidden, last = self.layers
        images = self._disturb(images, self.input_noise)
        for layer, norm in zip(hidden, self.norms, strict=True):
            images = functional.relu(self._disturb(norm(layer(images)), self.hidden_noise))
            if self.training and self.dropout:
                images = images * self._mask(images)
        logits: Tensor = last(images)
        return logits

    def _disturb(self, values: Tensor, deviation: float) -> Tensor:
        """Return values with noise of a deviation while training, and as they are otherwise."""
        if not (self.training and deviation):
            return values
        noise = torch.randn(values.shape, generator=self._generator).to(values.device)
        return values + deviation * noise

    def _mask(self, activations: Tensor) -> Tensor:
        """Return factors of activations: 0, or the inverse of the share that stays."""
        draws = torch.rand(activations.shape, generator=self._generator)
        return ((draws >= self.dropout) / (1 - self.dropout)).to(activations.device)


@torch.no_grad()
def fold(model: MLP) -> MLP:
    """Return the plain network with the logits that `model` has when it is not trained."""
    if not isinstance(model, RegularisedMLP):
        return model
    plain = MLP(model.widths).to(next(model.parameters()).device)
    for target, layer in zip(plain.layers, model.layers, strict=True):
        target.load_state_dict(layer.state_dict())
    for layer, norm in zip(plain.layers, model.norms, strict=False):
        if isinstance(norm, nn.BatchNorm1d):
            _fold_norm(layer, norm)
    return plain


def _fold_norm(layer: nn.Module, norm: nn.BatchNorm1d) -> None:
    """Let a linear layer do in one what it and the normalisation after it did."""
    weights, bias = layer.parameters()
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    # torch's square root is MKL's, which follows the processor; its inverse is not.
    gain = norm.weight * (variance + norm.eps).rsqrt()
    weights.mul_(gain[:, None])
    bias.copy_((bias - mean) * gain + norm.bias)
