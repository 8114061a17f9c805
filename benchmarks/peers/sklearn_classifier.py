"""scikit-learn: MLPClassifier."""

from time import perf_counter

from peers import tables
from sklearn.neural_network import MLPClassifier


def main() -> None:
    """Read, train, predict."""
    images = tables.read_images()
    model = MLPClassifier(
        hidden_layer_sizes=tables.WIDTHS[1:-1],
        solver="sgd",
        alpha=tables.WEIGHT_DECAY * tables.BATCH,  # which it divides by the rows of a batch
        batch_size=tables.BATCH,
        learning_rate_init=tables.LEARNING_RATE,
        momentum=tables.MOMENTUM,
        nesterovs_momentum=False,
        max_iter=tables.EPOCHS,
        random_state=0,
    )
    start = perf_counter()
    model.fit(images.train, images.train_labels)
    seconds = perf_counter() - start
    print(model.score(images.validation, images.validation_labels))
    tables.finish(model.predict(images.test), seconds)


if __name__ == "__main__":
    main()
