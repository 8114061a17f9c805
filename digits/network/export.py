"""onnx_export: the trained network in the form of ONNX, which other runtimes and languages read.

    python -m digits.network.export

Reads models/mlp.safetensors and data/prepared/statistics.json; writes models/mlp.onnx. Raw pixels
go in, and probabilities come out. What predict does lies between them, as operators of the graph:

    Cast, Flatten, Sub, Div     the normalisation
    Gather, Flatten             where answers are averaged over shifts: each image, and it shifted
    Gemm, Relu, ... Gemm        each network
    Mean                        where there are several networks: of their logits
    Reshape, ReduceMean         where answers are averaged over shifts: the mean of the logits
    Softmax                     the probabilities
"""

import json
from collections.abc import Sequence
from hashlib import md5
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

from digits.data.classes import load_classes, name_classes
from digits.data.tensors import PREPARED, Statistics
from digits.errors import InputError, run_command
from digits.files import replacing
from digits.network.inference import shifted
from digits.network.model import MODEL, Ensemble, encode, load_model
from digits.params import load_params

EXPORTED = Path("models/mlp.onnx")
LICENCE = "MIT"
OPSET, IR_VERSION = 13, 7  # of 2020; onnxruntime has known both since version 1.7
MOST_BYTES = 2_000_000_000  # of weights: protobuf ends at 2 GiB


def describe(
    model: Ensemble, statistics: Statistics, data: str, names: Sequence[str]
) -> dict[str, str]:
    """Return the metadata of a network.

    Args:
        model: the network, or several.
        statistics: what its images are normalised with.
        data: the images that it was trained on, in words.
        names: of the classes, in their order.
    """
    return {
        "classes": json.dumps(list(names)),
        "normalisation": f"in the graph: (pixels - {statistics.mean}) / {statistics.std}",
        "data": data,
        "network_md5": md5(encode(model), usedforsecurity=False).hexdigest(),  # as in dvc.lock
        "model_license": LICENCE,  # ONNX's own key
    }


def build(
    model: Ensemble, statistics: Statistics, shift: int, metadata: dict[str, str]
) -> ModelProto:
    """Return networks as a checked ONNX model, the same each time.

    Its input, `pixels`, has the shape (batch, side, side), which says how an image lies in it, and
    is of uint8, as images are: pixels from 0 to 1, or normalised ones, are refused and not answered
    wrongly. Its output, `probabilities`, has the shape (batch, classes) and is of float32.

    Args:
        model: at least one network.
        statistics: what its images are normalised with.
        shift: pixels, 0 or more, as `digits.network.inference.infer` has it.
        metadata: keys and values to keep with it.
    """
    constants = _constants(model, statistics, shift)
    graph = helper.make_graph(
        _connect(len(model.networks), len(model.widths) - 1, shift),
        "digits",
        [_input(statistics.side)],
        [_output(model.widths[-1])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    exported = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="digits",
        doc_string=_summarise(model, shift),
    )
    helper.set_model_props(exported, metadata)
    checker.check_model(exported, full_check=True)
    return exported


def _input(side: int) -> ValueInfoProto:
    words = f"Images of {side} x {side} raw pixels from 0 to 255, row by row from the top."
    shape = ["batch", side, side]
    return helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape, words)


def _output(classes: int) -> ValueInfoProto:
    words = "The probability of each class, in the order of `classes` in the metadata."
    shape = ["batch", classes]
    return helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape, words)


def _summarise(model: Ensemble, shift: int) -> str:
    """Return what the network is, in words."""
    layers, count = "-".join(map(str, model.widths)), len(model.networks)
    words = f"A multilayer perceptron, {layers}, from raw pixels to the probability of each class."
    if count > 1:
        words += f" The logits of {count} such networks are averaged."
    if shift:
        words += f" Logits are averaged over the image shifted by -{shift} to {shift} pixels"
        words += " along each axis."
    return words


def _constants(model: Ensemble, statistics: Statistics, shift: int) -> dict[str, NDArray[Any]]:
    """Return the tensors that the graph names, the weights under the names that PyTorch has."""
    found = {
        "mean": np.array(statistics.mean, np.float32),
        "deviation": np.array(statistics.std, np.float32),
    }
    if shift:
        numbers = torch.arange(statistics.pixels, dtype=torch.float64)
        places = torch.cat(list(shifted(numbers[None], shift)))
        # The pixel that each pixel of each shifted image is taken from: (shifts, pixels).
        found["places"] = places.numpy().astype(np.int64)
        found["by_image"] = np.array([-1, len(places), model.widths[-1]])
    return found | {name: weights.numpy() for name, weights in model.state_dict().items()}


def _connect(networks: int, layers: int, shift: int) -> list[NodeProto]:
    """Return the nodes of the graph, in the order of the flow."""
    nodes = _normalise()
    if shift:
        nodes += _move(nodes[-1])
    answers = [_answer(network, layers, nodes[-1]) for network in range(networks)]
    logits = [answer[-1] for answer in answers]
    nodes += chain(*answers)
    if networks > 1:
        nodes.append(_node("Mean", logits, "logits"))
    if shift:
        nodes += _average(nodes[-1])
    return [*nodes, _node("Softmax", [nodes[-1]], "probabilities", axis=1)]


def _normalise() -> list[NodeProto]:
    """Return nodes from pixels to normalised images, shape (batch, pixels)."""
    return [
        _node("Cast", ["pixels"], "numbers", to=TensorProto.FLOAT),
        _node("Flatten", ["numbers"], "rows"),
        _node("Sub", ["rows", "mean"], "centred"),
        _node("Div", ["centred", "deviation"], "images"),
    ]


def _move(images: NodeProto) -> list[NodeProto]:
    """Return nodes from images to all their shifts, shape (batch * shifts, pixels)."""
    return [
        _node("Gather", [images, "places"], "shifts", axis=1),
        _node("Flatten", ["shifts"], "shifted", axis=2),
    ]


def _answer(network: int, layers: int, images: NodeProto) -> list[NodeProto]:
    """Return the nodes of one network, from images to logits, shape (rows, classes)."""
    nodes = [images]
    for layer in range(layers):
        name = f"networks.{network}.layers.{layer}"
        if layer:
            nodes.append(_node("Relu", [nodes[-1]], f"{name}.input"))
        parameters = [f"{name}.weight", f"{name}.bias"]
        nodes.append(_node("Gemm", [nodes[-1], *parameters], name, transB=1))
    return nodes[1:]


def _average(logits: NodeProto) -> list[NodeProto]:
    """Return nodes from the logits of all shifts to their means, shape (batch, classes)."""
    return [
        _node("Reshape", [logits, "by_image"], "logits_by_image"),
        _node("ReduceMean", ["logits_by_image"], "mean_logits", axes=[1], keepdims=0),
    ]


def _node(
    operator: str, inputs: Sequence[str | NodeProto], output: str, **attributes: int | list[int]
) -> NodeProto:
    """Return a node with one output, which it has its name from.

    Args:
        operator: of ONNX.
        inputs: values by name, or the nodes that they come from.
        output: the name.
        attributes: of the operator.
    """
    names = [value if isinstance(value, str) else value.name for value in inputs]
    return helper.make_node(operator, names, [output], name=output, **attributes)


def write(path: Path, exported: ModelProto) -> None:
    """Write an ONNX file, the same bytes from the same model."""
    content = exported.SerializeToString(deterministic=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def name_data(path: str) -> str:
    """Return the name of a file of images, without the folders of the machine that has it."""
    return Path(path).name if Path(path).is_absolute() else path


def main() -> None:
    """Export the network that train wrote."""
    params = load_params()
    statistics = Statistics.load(PREPARED / "statistics.json")
    names = name_classes(load_classes(), params.data.class_names)
    model = load_model(MODEL, statistics.pixels, len(names))
    weights = sum(parameter.nbytes for parameter in model.parameters())
    if weights > MOST_BYTES:
        raise InputError(
            f"{MODEL}: {weights:,} bytes of weights; expected at most {MOST_BYTES:,}, "
            "for an ONNX file holds no more"
        )
    metadata = describe(model, statistics, name_data(params.data.train), names)
    write(EXPORTED, build(model, statistics, params.predict.shift, metadata))
    print(
        f"export: wrote {EXPORTED}, {EXPORTED.stat().st_size:,} bytes; in: pixels, uint8, "
        f"(batch, {statistics.side}, {statistics.side}); "
        f"out: probabilities, float32, (batch, {len(names)})"
    )


if __name__ == "__main__":
    run_command(main)
