"""scikit-learn: MLPClassifier."""

import numpy as np
from peers import recipe
from peers.recipe import Prepared, Rows
from sklearn.neural_network import MLPClassifier


def prepare(training: Rows, validation: Rows) -> Prepared:
    """Make everything ready."""
    model = MLPClassifier(
        hidden_layer_sizes=recipe.WIDTHS[1:-1],
        solver="sgd",
        alpha=recipe.WEIGHT_DECAY * recipe.BATCH,  # which it divides by the rows of a batch
        batch_size=recipe.BATCH,
        learning_rate_init=recipe.LEARNING_RATE,
        momentum=recipe.MOMENTUM,
        nesterovs_momentum=False,
        max_iter=recipe.EPOCHS,
        random_state=0,
    )

    def predict(test: np.ndarray) -> np.ndarray:
        print(model.score(*validation))
        return model.predict(test)

    return lambda: model.fit(*training), predict
