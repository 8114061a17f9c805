"""The least time that a stage could take on this machine, measured in the same run.

It is the sum of three: an interpreter that imports what the stage imports; the bytes that the stage
reads and writes, at the speed of a plain copy; and the matrix products of its network, at the speed
of the CPU's plain products of large matrices, of float32 and inexact.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter

import torch
from torch.nn import functional

SIDE = 1024  # of a large matrix
CHUNK = 2**20  # bytes of a copy


def operations(widths: Sequence[int], training: int, inference: int) -> int:
    """Return the floating-point operations of a network's matrix products.

    Args:
        widths: of its layers, pixels and classes among them.
        training: rows that it is trained on, each epoch counted: three products for each layer, but
            for the first, whose inputs need no gradient.
        inference: rows that pass it: one product for each layer.
    """
    weights = [2 * inputs * outputs for inputs, outputs in pairwise(widths)]
    return training * (3 * sum(weights) - weights[0]) + inference * sum(weights)


def product_rate(seconds: float) -> float:
    """Return floating-point operations a second in products of large matrices, the median."""
    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    product = left @ right
    times, end = [], perf_counter() + seconds
    while perf_counter() < end:
        start = perf_counter()
        torch.mm(left, right, out=product)
        times.append(perf_counter() - start)
    return 2 * SIDE**3 / median(times)


def step_time(widths: Sequence[int], rows: int, seconds: float) -> float:
    """Return the median seconds of the matrix products of one step of training, with nothing else.

    This is what a batch of `rows` rows allows: products so small are slower than large ones.
    """
    weights = [torch.randn(outputs, inputs) for inputs, outputs in pairwise(widths)]
    values = [torch.randn(rows, width) for width in widths]
    times, end = [], perf_counter() + seconds
    while perf_counter() < end:
        start = perf_counter()
        for layer, weight in enumerate(weights):
            functional.linear(values[layer], weight)
            torch.mm(values[layer + 1].T, values[layer])
            if layer:
                torch.mm(values[layer + 1], weight)
        times.append(perf_counter() - start)
    return median(times)


def copy_time(read: Iterable[Path], written: Iterable[Path]) -> float:
    """Return the seconds that it takes to read some files, and to write as many bytes as others."""
    size = sum(path.stat().st_size for path in written)
    start = perf_counter()
    for path in read:
        with path.open("rb", buffering=0) as file:
            while file.read(CHUNK):
                pass
    with TemporaryFile(buffering=0) as file:
        for _ in range(-(-size // CHUNK)):
            file.write(bytes(CHUNK))
    return perf_counter() - start
