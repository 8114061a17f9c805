"""PyTorch Lightning: a LightningModule and its Trainer."""

from time import perf_counter

import lightning
import torch
from peers import tables
from peers.dataloader import datasets, network, optimiser_of
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    """The notebook's network and its optimiser."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()
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


def main() -> None:
    """Read, train, predict."""
    images = tables.read_images()
    lightning.seed_everything(0)
    training, validation = datasets(images)
    model = Classifier()
    trainer = lightning.Trainer(
        max_epochs=tables.EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
    start = perf_counter()
    trainer.fit(
        model,
        DataLoader(training, batch_size=tables.BATCH, shuffle=True),
        DataLoader(validation, batch_size=2 * tables.BATCH),
    )
    seconds = perf_counter() - start
    test = DataLoader(TensorDataset(torch.from_numpy(images.test)), 2 * tables.BATCH)
    tables.finish(torch.cat(trainer.predict(model, test)).numpy(), seconds)


if __name__ == "__main__":
    main()
