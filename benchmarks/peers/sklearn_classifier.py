"""scikit-learn: MLPClassifier."""

import numpy as np
from peers import BATCH, EPOCHS, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, WIDTHS, Prepared, Rows
from sklearn.neural_network import MLPClassifier


def prepare(training: Rows, validation: Rows) -> Prepared:
    """Make everything ready."""
    model = MLPClassifier(
        hidden_layer_sizes=WIDTHS[1:-1],
        solver="sgd",
        alpha=WEIGHT_DECAY * BATCH,  # which it divides by the rows of a batch
        batch_size=BATCH,
        learning_rate_init=LEARNING_RATE,
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        max_iter=EPOCHS,
        random_state=0,
    )

    def predict(test: np.ndarray) -> np.ndarray:
        print(model.score(*validation))
        return model.predict(test)

    return lambda: model.fit(*training), predict
