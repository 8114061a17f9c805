"""inference: how many rows a second the network answers, here and in other libraries.

    python -m benchmarks.inference
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.inference

Asks models/digits.safetensors about the test images, as predict does it, and the same network in
ONNX Runtime and, its first, in plain float32 and without views, in PyTorch, all in turns. Prints
medians, and that of what `python -m digits classify` takes for one picture.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import onnxruntime
import torch
from PIL import Image

from digits.data.straightening import straighten
from digits.data.tensors import PREPARED, map_pixels
from digits.errors import run_command
from digits.export import build
from digits.network.inference import BLOCK, infer
from digits.recogniser import Recogniser

RUNS = 7
Answer = Callable[[slice], object]  # some rows of the test images


def ask_onnxruntime(recogniser: Recogniser) -> Answer:
    """Return what asks ONNX Runtime."""
    options, statistics = onnxruntime.SessionOptions(), recogniser.description.statistics
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    session = onnxruntime.InferenceSession(build(recogniser).SerializeToString(), options)
    pixels = np.array(map_pixels(PREPARED / "test", statistics.pixels))
    straight = straighten(pixels).reshape(-1, statistics.side, statistics.side)
    return lambda rows: session.run(["logits"], {"pixels": straight[rows]})


def ask_torch(recogniser: Recogniser) -> Answer:
    """Return what asks PyTorch."""
    layers: list[torch.nn.Module] = []
    for weights, bias in recogniser.networks[0].layers:
        layers += [torch.nn.Linear(*weights.values.shape), torch.nn.ReLU()]
        values = {"weight": torch.tensor(weights.values.T), "bias": torch.tensor(bias)}
        layers[-2].load_state_dict(values)
    model = torch.nn.Sequential(*layers[:-1]).requires_grad_(requires_grad=False)
    normalise = recogniser.description.statistics.normalise
    images = torch.from_numpy(normalise(map_pixels(PREPARED / "test", 784)))
    return lambda rows: model(images[rows])


def time_picture(recogniser: Recogniser) -> float:
    """Return the seconds that classify takes, from its start to its end."""
    side = recogniser.description.statistics.side
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "digit.png"
        Image.fromarray(map_pixels(PREPARED / "test", side * side)[0].reshape(side, side)).save(
            picture
        )
        start = perf_counter()
        command = [sys.executable, "-m", "digits", "classify", str(picture)]
        subprocess.run(command, check=True, capture_output=True)
        return perf_counter() - start


def main() -> None:
    """Measure all in turns."""
    recogniser = Recogniser.load()
    images = recogniser.description.statistics.normalise(map_pixels(PREPARED / "test", 784))
    subjects: dict[str, Answer] = {
        "this": lambda rows: infer(recogniser.networks, images[rows], recogniser.description.views),
        "ONNX Runtime": ask_onnxruntime(recogniser),
        "PyTorch": ask_torch(recogniser),
    }
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(RUNS):
        for name, answer in subjects.items():
            start = perf_counter()
            for first in range(0, len(images), BLOCK):
                answer(slice(first, first + BLOCK))
            seconds[name].append(perf_counter() - start)
    for name, found in seconds.items():
        print(f"{name}: {len(images) / median(found):,.0f} rows a second")
    print(f"classify: {median(time_picture(recogniser) for _ in range(RUNS)):.2f} s")


if __name__ == "__main__":
    run_command(main)
