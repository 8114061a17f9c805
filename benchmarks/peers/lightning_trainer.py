"""PyTorch Lightning: a LightningModule and its Trainer."""

import lightning
import numpy as np
import torch
from peers import BATCH, EPOCHS, Prepared, Rows
from peers.network import dataset, loaders, new_network, optimiser_of
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader


class Classifier(lightning.LightningModule):
    """The notebook's network and its optimiser."""

    def __init__(self) -> None:
        super().__init__()
        self.network = new_network()
        # Not in configure_optimizers, which is part of the fit: it imports torch's compiler.
        self.optimiser = optimiser_of(self.network)

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        return functional.cross_entropy(self.network(images), labels)

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        """Log the accuracy of a batch."""
        images, labels = batch
        right = (self.network(images).argmax(1) == labels).float().mean()
        self.log("accuracy", right, prog_bar=True)

    def predict_step(self, batch: list[Tensor], _: int) -> Tensor:
        """Return the classes of a batch."""
        return self.network(batch[0]).argmax(1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return plain SGD."""
        return self.optimiser


def prepare(training: Rows, validation: Rows) -> Prepared:
    """Make everything ready."""
    model = Classifier()
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
    batches, held_out = loaders(training, validation)

    def predict(test: np.ndarray) -> np.ndarray:
        loader = DataLoader(dataset(test), 2 * BATCH)
        return torch.cat(trainer.predict(model, loader)).numpy()

    return lambda: trainer.fit(model, batches, held_out), predict
