import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from digits import __main__ as command
from digits.data.straightening import straighten
from digits.data.tensors import Statistics
from digits.network.model import MLP
from digits.params import Predict
from digits.recogniser import RECOGNISER, Description, Recogniser
from tests.conftest import draw_novelty

pytest.importorskip("onnx", reason="ONNX comes with the extra export")
pytest.importorskip("onnxruntime", reason="ONNX Runtime comes with the extra export")
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from digits.export import EXPORTED, build

NONE = Predict(rotation=0, scale=0, shear=0, shift=0)
ALL = Predict(rotation=20, scale=0.2, shear=0.3, shift=1.5)
# Of one, every level lies in the middle between two multiples of a unit. Of the other, level 160 is
# a power of two, and level 96 so little below one that it is rounded up to it.
HALVES = Statistics(mean=33.5, std=64, pixels=16, straightened=True)
POWERS = Statistics(mean=32.2, std=(160 - 32.2) / 2, pixels=16, straightened=False)
LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)


def draw(
    widths: Sequence[int],
    networks: int = 1,
    views: Predict = NONE,
    size: float = 1,
    statistics: Statistics = POWERS,
) -> Recogniser:
    """Draw a recogniser; the first weights, and all biases, are multiplied by a size."""
    generator, found = np.random.default_rng(0), []
    for _ in range(networks):
        layers = [
            (generator.normal(size=shape[::-1]), size * generator.normal(size=shape[1]))
            for shape in pairwise(widths)
        ]
        layers[0] = size * layers[0][0], layers[0][1]
        found.append(
            MLP.of([(one.astype(np.float32), bias.astype(np.float32)) for one, bias in layers])
        )
    description = describe(widths, networks, views, statistics)
    return Recogniser(found, description, draw_novelty(widths))


def describe(
    widths: Sequence[int], networks: int, views: Predict, statistics: Statistics
) -> Description:
    return Description(
        widths=tuple(widths),
        networks=networks,
        recipe="own",
        classes=tuple(map(str, range(widths[-1]))),
        statistics=statistics.model_copy(update={"pixels": widths[0]}),
        views=views,
        temperature=0.5,
    )


def draw_pixels(pixels: int, rows: int = 10) -> NDArray[np.uint8]:
    """Draw images: of a third each, 96, 160 and 255 are the highest levels; the first is blank."""
    found = np.random.default_rng(1).integers(0, 256, (rows, pixels), np.uint8)
    found[0] = 0
    for start, highest in enumerate((96, 160)):
        found[start::3] = found[start::3].clip(0, highest)
    return found


def check_answers(exported: bytes, recogniser: Recogniser, pixels: NDArray[np.uint8]) -> None:
    """Assert that images, or none, have the logits that they have here, bit for bit."""
    expected, statistics = recogniser.answer(pixels), recogniser.description.statistics
    pixels, side = straighten(pixels) if statistics.straightened else pixels, statistics.side
    for level in LEVELS:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(exported, options)
        for rows in (len(pixels), 0):
            images = {"pixels": pixels[:rows].reshape(rows, side, side)}
            logits, shares = session.run(["logits", "probabilities"], images)
            assert logits.dtype == np.float32
            assert logits.shape == (rows, recogniser.description.widths[-1])
            assert logits.tobytes() == expected[:rows].tobytes()
            assert np.allclose(shares, recogniser.calibrate(expected)[:rows], rtol=0, atol=1e-6)


@pytest.mark.parametrize("statistics", [HALVES, POWERS], ids=["halves", "powers"])
@pytest.mark.parametrize("views", [NONE, ALL], ids=["plain", "views"])
@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("widths", [[16, 3], [16, 8, 6, 3], [25, 9, 7, 5, 12]], ids=str)
def test_the_exported_network_answers_raw_pixels_with_the_same_bits(
    widths: list[int], networks: int, views: Predict, statistics: Statistics
) -> None:
    recogniser = draw(widths, networks, views, statistics=statistics)
    check_answers(build(recogniser).SerializeToString(), recogniser, draw_pixels(widths[0]))


@pytest.mark.parametrize("size", [2.0**-53, 2.0**98])
def test_values_of_any_size_that_are_answered_here_have_the_same_bits(size: float) -> None:
    recogniser = draw([16, 8, 3], size=size)
    check_answers(build(recogniser).SerializeToString(), recogniser, draw_pixels(16))


def test_sums_that_float32_does_not_hold_are_rounded_once() -> None:
    weights = np.random.default_rng(0).uniform(0.5, 1, (3, 50 * 50)).astype(np.float32)
    light = MLP.of([(weights, np.zeros(3, np.float32))])
    recogniser = replace(draw([50 * 50, 3]), networks=[light])
    pixels = 192 + draw_pixels(50 * 50) // 4
    check_answers(build(recogniser).SerializeToString(), recogniser, pixels)


def test_a_weight_takes_a_byte() -> None:
    recogniser = draw([784, 100, 10])
    assert len(build(recogniser).SerializeToString()) < len(recogniser.encode()) + 10_000


@pytest.mark.parametrize("model", [RECOGNISER, Path("another.safetensors")], ids=str)
def test_the_command_writes_the_same_bytes_each_time_and_scaled_pixels_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    told = [] if model == RECOGNISER else ["--model", str(model)]
    monkeypatch.setattr(sys, "argv", ["digits", "export", *told])
    model.parent.mkdir(exist_ok=True)
    EXPORTED.parent.mkdir(exist_ok=True)
    recogniser = draw([16, 8, 3], views=ALL)
    model.write_bytes(recogniser.encode())
    contents = []
    for _ in range(2):
        command.main()
        contents.append(EXPORTED.read_bytes())
        EXPORTED.unlink()
    assert contents[0] == contents[1]
    check_answers(contents[0], recogniser, draw_pixels(16))
    session, scaled = onnxruntime.InferenceSession(contents[0]), np.zeros((2, 4, 4), np.float32)
    with pytest.raises(InvalidArgument):
        session.run(None, {"pixels": scaled})
