"""The trained network in the form of ONNX, which other runtimes and languages read.

Raw pixels go in, and probabilities come out. All that predict does lies between: the normalisation,
each image shifted, the networks, and the means of their logits.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, checker, numpy_helper, parser

from digits.data.classes import load_classes
from digits.data.tensors import PREPARED, Statistics
from digits.files import replacing
from digits.network.inference import shifted
from digits.network.model import MODEL, Ensemble, load_model
from digits.params import load_params

EXPORTED = Path("models/mlp.onnx")
# These versions are of 2020: onnxruntime has known both since 1.7. Images are uint8, so that scaled
# ones are refused and not answered wrongly.
FORM = """
<ir_version: 7, opset_import: ["": 13], producer_name: "digits">
digits (uint8[batch, {side}, {side}] pixels) => (float[batch, {classes}] probabilities) {{
    {nodes}
}}
"""


def build(model: Ensemble, statistics: Statistics, shift: int) -> ModelProto:
    """Return networks, averaged over shifts as `infer` does it, as a checked ONNX model."""
    nodes = "\n    ".join(_connect(len(model.networks), len(model.widths) - 1))
    form = FORM.format(side=statistics.side, classes=model.widths[-1], nodes=nodes)
    exported = parser.parse_model(form)
    for name, values in _constants(model, statistics, shift).items():
        exported.graph.initializer.append(numpy_helper.from_array(values, name))
    checker.check_model(exported, full_check=True)
    return exported


def _connect(networks: int, layers: int) -> Iterator[str]:
    """Yield the nodes of the graph, in the order of the flow."""
    yield "numbers = Cast<to=1>(pixels)"
    yield "rows = Flatten(numbers)"
    yield "centred = Sub(rows, mean)"
    yield "images = Div(centred, deviation)"
    yield "shifted = Gather<axis=1>(images, places)"  # (batch, shifts, pixels)
    for network in range(networks):
        values = "shifted"
        for layer in range(layers):
            name = f"networks_{network}_layers_{layer}"
            if layer:
                yield f"{name}_in = Relu({values})"
                values = f"{name}_in"
            yield f"{name}_product = MatMul({values}, {name}_weight)"
            yield f"{name} = Add({name}_product, {name}_bias)"
            values = name
    last = (f"networks_{network}_layers_{layers - 1}" for network in range(networks))
    yield f"logits = Mean({', '.join(last)})"
    yield "mean_logits = ReduceMean<axes=[1], keepdims=0>(logits)"
    yield "probabilities = Softmax<axis=1>(mean_logits)"


def _constants(model: Ensemble, statistics: Statistics, shift: int) -> dict[str, NDArray[Any]]:
    """Return the tensors that the graph names: weights have the shape (inputs, outputs) here."""
    numbers = torch.arange(statistics.pixels, dtype=torch.float64)
    # The pixel that each pixel of each shifted image is taken from: (shifts, pixels).
    places = torch.cat(list(shifted(numbers[None], shift))).numpy().astype(np.int64)
    # Names have no dots in the graph.
    found = {key.replace(".", "_"): value.numpy().T for key, value in model.state_dict().items()}
    mean, deviation = (np.array(one, np.float32) for one in (statistics.mean, statistics.std))
    return found | {"mean": mean, "deviation": deviation, "places": places}


def main() -> None:
    """Export the network that train wrote to `EXPORTED`."""
    statistics = Statistics.load(PREPARED / "statistics.json")
    model = load_model(MODEL, statistics.pixels, len(load_classes()))
    exported = build(model, statistics, load_params().predict.shift)
    with replacing(EXPORTED) as temporary:
        temporary.write_bytes(exported.SerializeToString(deterministic=True))
    print(f"export: wrote {EXPORTED}, {EXPORTED.stat().st_size:,} bytes")
