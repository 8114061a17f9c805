"""fastai 2: a Learner."""

from functools import partial

import numpy as np
import torch
from fastai.callback.all import *  # noqa: F403  as fastai's own documentation does: it patches Learner
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.optimizer import SGD
from peers import BATCH, EPOCHS, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, Prepared, Rows
from peers.network import dataset, new_network
from torch import nn


def prepare(training: Rows, validation: Rows) -> Prepared:
    """Make everything ready."""
    # Without `device`, fastai would look for a GPU; without workers, it starts none.
    loaders = DataLoaders.from_dsets(
        dataset(*training),
        dataset(*validation),
        bs=BATCH,
        val_bs=2 * BATCH,
        drop_last=False,
        num_workers=0,
        device=torch.device("cpu"),
    )
    learner = Learner(
        loaders,
        new_network(),
        loss_func=nn.CrossEntropyLoss(),
        opt_func=partial(SGD, mom=MOMENTUM, wd=WEIGHT_DECAY, decouple_wd=False),
        metrics=accuracy,
    )

    def fit() -> None:
        with learner.no_bar():
            learner.fit(EPOCHS, lr=LEARNING_RATE)

    def predict(test: np.ndarray) -> np.ndarray:
        with learner.no_bar():
            probabilities, _ = learner.get_preds(dl=loaders.test_dl(dataset(test)))
        return probabilities.argmax(1).numpy()

    return fit, predict
