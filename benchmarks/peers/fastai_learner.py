"""fastai 2: a Learner."""

from functools import partial
from time import perf_counter

import torch
from fastai.callback.all import *  # noqa: F403  as fastai's own documentation does: it patches Learner
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.optimizer import SGD
from peers import tables
from peers.dataloader import datasets, network
from torch import nn
from torch.utils.data import TensorDataset


def main() -> None:
    """Read, train, predict."""
    images = tables.read_images()
    torch.manual_seed(0)
    # Without `device`, fastai would look for a GPU; without workers, it starts none.
    loaders = DataLoaders.from_dsets(
        *datasets(images),
        bs=tables.BATCH,
        val_bs=2 * tables.BATCH,
        drop_last=False,
        num_workers=0,
        device=torch.device("cpu"),
    )
    learner = Learner(
        loaders,
        network(),
        loss_func=nn.CrossEntropyLoss(),
        opt_func=partial(SGD, mom=tables.MOMENTUM, wd=tables.WEIGHT_DECAY, decouple_wd=False),
        metrics=accuracy,
    )
    start = perf_counter()
    with learner.no_bar():
        learner.fit(tables.EPOCHS, lr=tables.LEARNING_RATE)
        seconds = perf_counter() - start
        test = TensorDataset(torch.from_numpy(images.test))
        probabilities, _ = learner.get_preds(dl=loaders.test_dl(test))
    tables.finish(probabilities.argmax(1).numpy(), seconds)


if __name__ == "__main__":
    main()
