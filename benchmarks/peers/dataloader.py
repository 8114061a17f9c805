"""A plain PyTorch loop over a DataLoader."""

from time import perf_counter

import torch
from peers import tables
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def network() -> nn.Sequential:
    """Return the notebook's network, without its softmax."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(tables.WIDTHS, tables.WIDTHS[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def datasets(images: tables.Images) -> tuple[TensorDataset, TensorDataset]:
    """Return the training and the validation rows."""
    training = (images.train, images.train_labels)
    validation = (images.validation, images.validation_labels)
    first, second = ([torch.from_numpy(part) for part in rows] for rows in (training, validation))
    return TensorDataset(*first), TensorDataset(*second)


def optimiser_of(model: nn.Module) -> torch.optim.SGD:
    """Return plain SGD with momentum and weight decay."""
    return torch.optim.SGD(
        model.parameters(),
        lr=tables.LEARNING_RATE,
        momentum=tables.MOMENTUM,
        weight_decay=tables.WEIGHT_DECAY,
    )


def fit(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    training: TensorDataset,
    validation: TensorDataset,
) -> None:
    """Train the network, and print the validation accuracy after each epoch."""
    batches = DataLoader(training, batch_size=tables.BATCH, shuffle=True)
    held_out = DataLoader(validation, batch_size=2 * tables.BATCH)
    loss_function = nn.CrossEntropyLoss()
    for epoch in range(tables.EPOCHS):
        for images, labels in batches:
            optimiser.zero_grad()
            loss_function(model(images), labels).backward()
            optimiser.step()
        with torch.no_grad():
            right = sum((model(rows).argmax(1) == labels).sum() for rows, labels in held_out)
        print(epoch + 1, right.item() / len(validation))


def main() -> None:
    """Read, train, predict."""
    images = tables.read_images()
    torch.manual_seed(0)
    model = network()
    rows = datasets(images)
    # The first optimiser imports torch's compiler: it counts for the whole, and not for the fit.
    optimiser = optimiser_of(model)
    start = perf_counter()
    fit(model, optimiser, *rows)
    seconds = perf_counter() - start
    with torch.no_grad():
        batches = DataLoader(TensorDataset(torch.from_numpy(images.test)), 2 * tables.BATCH)
        labels = torch.cat([model(rows).argmax(1) for [rows] in batches])
    tables.finish(labels.numpy(), seconds)


if __name__ == "__main__":
    main()
