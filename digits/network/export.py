"""The trained network in the form of ONNX, which other runtimes and languages read.

Pixels go in, straightened if the network's were, and probabilities come out. All else that predict
does lies between: the normalisation, the views of each image, the networks, and the means of their
logits.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, checker, numpy_helper, parser

from digits.data.classes import load_classes
from digits.data.tensors import PREPARED, Statistics
from digits.files import replacing
from digits.network.augmentation import PLACES
from digits.network.model import MODEL, Ensemble, load_model
from digits.network.views import view_places
from digits.params import Predict, load_params

EXPORTED = Path("models/mlp.onnx")
# These versions are of 2020: onnxruntime has known both since 1.7. Images are uint8, so that scaled
# ones are refused and not answered wrongly.
FORM = """
<ir_version: 7, opset_import: ["": 13], producer_name: "digits">
digits (uint8[batch, {side}, {side}] pixels) => (float[batch, {classes}] probabilities) {{
    {nodes}
}}
"""


def build(model: Ensemble, statistics: Statistics, params: Predict) -> ModelProto:
    """Return networks, averaged over views as `infer` does it, as a checked ONNX model."""
    nodes = "\n    ".join(_connect(len(model.networks), len(model.widths) - 1))
    form = FORM.format(side=statistics.side, classes=model.widths[-1], nodes=nodes)
    exported = parser.parse_model(form)
    for name, values in _constants(model, statistics, params).items():
        exported.graph.initializer.append(numpy_helper.from_array(values, name))
    checker.check_model(exported, full_check=True)
    return exported


def _connect(networks: int, layers: int) -> Iterator[str]:
    """Yield the nodes of the graph, in the order of the flow."""
    yield "numbers = Cast<to=1>(pixels)"
    yield "rows = Flatten(numbers)"
    yield "centred = Sub(rows, mean)"
    yield "images = Div(centred, deviation)"
    yield "corners = Gather<axis=1>(images, places)"  # (batch, 4, views, pixels)
    yield "parts = Mul(corners, shares)"
    yield "views = ReduceSum<keepdims=0>(parts, corner)"
    for network in range(networks):
        values = "views"
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


def _constants(model: Ensemble, statistics: Statistics, params: Predict) -> dict[str, NDArray[Any]]:
    """Return the tensors that the graph names: weights have the shape (inputs, outputs) here."""
    places, shares = _corners(view_places(params, statistics.side).numpy(), statistics.side)
    # Names have no dots in the graph.
    found = {key.replace(".", "_"): value.numpy().T for key, value in model.state_dict().items()}
    mean, deviation = (np.array(one, np.float32) for one in (statistics.mean, statistics.std))
    found |= {"mean": mean, "deviation": deviation, "corner": np.array([1])}
    return found | {"places": places, "shares": shares}


def _corners(
    places: NDArray[np.float32], side: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the four pixels around each place of each view, and their shares of what lies there.

    Both have the shape (4, views, pixels).
    """
    at = np.rint(places.clip(-side / 2, side / 2) * PLACES) / PLACES + (side - 1) / 2
    low = np.floor(at)
    corners, shares = [], []
    for corner in product((0, 1), repeat=2):
        step = np.reshape(corner, (2, 1))
        across, down = np.moveaxis((low + step).clip(0, side - 1).astype(np.int64), 1, 0)
        corners.append(down * side + across)
        shares.append(np.where(step, at - low, 1 - (at - low)).prod(axis=1, dtype=np.float32))
    return np.stack(corners), np.stack(shares)


def main() -> None:
    """Export the network that train wrote to `EXPORTED`."""
    statistics = Statistics.load(PREPARED / "statistics.json")
    model = load_model(MODEL, statistics.pixels, len(load_classes()))
    exported = build(model, statistics, load_params().predict)
    with replacing(EXPORTED) as temporary:
        temporary.write_bytes(exported.SerializeToString(deterministic=True))
    told = "images as digits.data.straightening makes them" if statistics.straightened else "images"
    print(f"export: wrote {EXPORTED}, {EXPORTED.stat().st_size:,} bytes, for {told}")
