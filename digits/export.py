"""A recogniser in the form of ONNX, which other runtimes and languages read.

Pixels go in, straightened if the network's were; probabilities and logits come out. All else lies
between: the normalisation, the views of each image, the networks, and the means of their logits.

Logits are exact: bit for bit those of `Recogniser.answer`. Products are of whole numbers, whose
sums float32 or float64 hold in whatever order they are; all else is one operation at a time that
IEEE 754 rounds correctly. Probabilities are calibrated, by the runtime's own exponential.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, checker, numpy_helper, parser
from safetensors.numpy import load

from digits.exact import SINGLE, sum_bits
from digits.files import replacing
from digits.network.model import FORWARD_BITS, IMAGE_BITS
from digits.network.views import corners, view_places
from digits.recogniser import Description, Recogniser

EXPORTED = Path("models/mlp.onnx")
# These versions are of 2020: onnxruntime has known both since 1.7. Images are uint8, so that scaled
# ones are refused and not answered wrongly. What follows has the shape (batch, views, values).
FORM = """<ir_version: 7, opset_import: ["": 13], producer_name: "digits">
digits (uint8[batch, {side}, {side}] pixels)
    => (float[batch, {classes}] probabilities, float[batch, {classes}] logits) {{
    line = Constant<value_ints=[0, 1, {pixels}]>()
    lines = Reshape(pixels, line)
    levels = Cast<to=6>(lines)
    images = Gather(normalised, levels){nodes}
    logits = Flatten(mean)
    temperature = Constant<value_float={temperature}>()
    scaled = Div(logits, temperature)
    probabilities = Softmax<axis=1>(scaled)
}}"""
# As `quantise` does it: comparisons find the largest power of two exactly, as no logarithm does.
ROUND = """
    {of}_sizes = Abs({of})
    {of}_most = ReduceMax<axes=[-1]>({of}_sizes)
    {of}_reached = GreaterOrEqual({of}_most, powers)
    {of}_candidates = Where({of}_reached, powers, least)
    {of}_power = ReduceMax<axes=[-1]>({of}_candidates)
    {of}_count = Constant<value_float={count}.0>()
    {of}_unit = Div({of}_power, {of}_count)
    {of}_units = Div({of}, {of}_unit)
    {of}_whole = Round({of}_units)"""
VIEWS = """
    corners = Gather<axis=2>(images_whole, places)
    parts = Mul(corners, shares)
    corner = Constant<value_ints=[1, 2]>()
    sampled = ReduceSum<keepdims=0>(parts, corner)
    moved = Mul(sampled, images_unit)
    views = Concat<axis=1>(images, moved)"""
# Factors are float32, 1, where that holds all sums, else float64, 11. A bias that followed the
# product at once would be fused with it by runtimes, some of which begin sums with the bias.
LAYER = """
    {of} = {function}({values}){rounding}
    {of}_factor = Cast<to={kind}>({of}_whole)
    {name}_matrix = Cast<to={kind}>({name}_weight)
    {name}_wide = MatMul({of}_factor, {name}_matrix)
    {name}_sums = Cast<to=1>({name}_wide)
    {name}_part = Mul({name}_sums, {of}_unit)
    {name}_product = Mul({name}_part, {name}_unit)
    {name} = Add({name}_product, {name}_bias)"""


def build(recogniser: Recogniser) -> ModelProto:
    """Return a recogniser as a checked ONNX model."""
    description, side = recogniser.description, recogniser.description.statistics.side
    moved = view_places(description.views, side)[1:]
    nodes = "".join(_connect(description, len(moved)))
    pixels, *_, classes = description.widths
    size = {"side": side, "pixels": pixels, "classes": classes}
    form = FORM.format(**size, temperature=f"{description.temperature:.9f}", nodes=nodes)
    exported = parser.parse_model(form)
    for name, values in _constants(recogniser, moved).items():
        exported.graph.initializer.append(numpy_helper.from_array(values, name))
    checker.check_model(exported, full_check=True)
    return exported


def _connect(description: Description, moved: int) -> Iterator[str]:
    """Yield the nodes from images to the mean of logits, in the order of the flow."""
    if moved:
        yield ROUND.format(of="images", count=2 ** (IMAGE_BITS - 1)) + VIEWS
    answers = []
    for named in description.named():
        values = "views" if moved else "images"
        for layer, (dotted, inputs, _) in enumerate(named):
            function, bits = ("Relu", FORWARD_BITS) if layer else ("Identity", IMAGE_BITS)
            kind = 1 if sum_bits(bits + FORWARD_BITS, inputs) <= SINGLE else 11
            form = {"function": function, "values": values, "kind": kind}
            values = dotted.replace(".", "_")
            rounding = ROUND.format(of=f"{values}_in", count=2 ** (bits - 1))
            yield LAYER.format(name=values, of=f"{values}_in", rounding=rounding, **form)
        answers.append(values)
    yield from _mean("answers", answers)
    views = [f"view_{number}" for number in range(1 + moved)]
    yield f"\n    {', '.join(views)} = Split<axis=1>(answers)"
    yield from _mean("mean", views)


def _mean(name: str, terms: Sequence[str]) -> Iterator[str]:
    """Yield a mean by additions in order, which ONNX leaves open where an operator takes many."""
    total = terms[0]
    for term in terms[1:]:
        yield f"\n    {name}_{term} = Add({total}, {term})"
        total = f"{name}_{term}"
    yield f"\n    {name}_terms = Constant<value_float={len(terms)}.0>()"
    yield f"\n    {name} = Div({total}, {name}_terms)"


def _constants(recogniser: Recogniser, moved: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Return the tensors that the graph names, which are without dots; weights are turned."""
    parts = sorted(load(recogniser.encode()).items())  # as it comes, the order changes
    layers = [(name, values) for name, values in parts if name.startswith("networks.")]
    found = {name.replace(".", "_"): values.T for name, values in layers}
    statistics = recogniser.description.statistics.model_copy(update={"straightened": False})
    found["normalised"] = statistics.normalise(np.arange(256, dtype=np.uint8))
    powers = np.ldexp(np.float32(1), np.arange(-50, 128))  # `quantise` knows no smaller one
    found |= {"powers": powers, "least": powers[:1]}
    if len(moved):
        found["places"], found["shares"] = corners(moved, statistics.side)
    return found


def main(model: str) -> None:
    """Write a recogniser to `EXPORTED`."""
    recogniser = Recogniser.load(model)
    with replacing(EXPORTED) as temporary:
        temporary.write_bytes(build(recogniser).SerializeToString(deterministic=True))
    straight = recogniser.description.statistics.straightened
    told = "images as digits.data.straightening makes them" if straight else "images"
    print(f"export: wrote {EXPORTED}, {EXPORTED.stat().st_size:,} bytes, for {told}")
