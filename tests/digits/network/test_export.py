import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.data.classes import CLASSES as CLASSES_FILE
from digits.data.classes import save_classes
from digits.data.tensors import PREPARED, Statistics, map_images, read_images
from digits.files import write_json
from digits.network.inference import infer, probabilities
from digits.network.model import MODEL, Ensemble, load_model, save_model
from digits.params import load_params
from tests.conftest import LABELS, ParamsWriter, new_network
from tests.sandbox import ROOT

pytest.importorskip("onnx", reason="ONNX comes with the extra export")
pytest.importorskip("onnxruntime", reason="ONNX Runtime comes with the extra export")
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from digits.__main__ import main
from digits.network.export import EXPORTED, build

pytestmark = pytest.mark.usefixtures("plain_products")
IMAGES = PREPARED / "test" / "images.npy"


def new_ensemble(widths: list[int], networks: int = 1) -> Ensemble:
    return Ensemble([new_network(widths, seed) for seed in range(networks)])


def new_statistics(pixels: int = 16) -> Statistics:
    return Statistics(mean=33.25, std=78.5, pixels=pixels)


def draw_pixels(rows: int, pixels: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (rows, pixels), np.uint8)


def new_session(model: Ensemble, statistics: Statistics, shift: int) -> Any:
    names = [str(number) for number in range(model.widths[-1])]
    exported = build(model, statistics, shift, names)
    return onnxruntime.InferenceSession(exported.SerializeToString())


def answer(session: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities, shape (rows, classes), of images, shape (rows, pixels)."""
    [images] = session.get_inputs()
    shaped = pixels.reshape(len(pixels), *images.shape[1:])
    [found] = session.run(["probabilities"], {"pixels": shaped})
    return np.asarray(found)


@pytest.mark.parametrize("rows", [0, 7])
@pytest.mark.parametrize(
    ("widths", "networks", "shift"),
    [
        ([16, 3], 1, 0),
        ([25, 9, 7, 5, 12], 1, 0),
        ([16, 8, 6, 3], 3, 0),
        ([16, 8, 3], 1, 2),
        ([9, 4, 2], 2, 1),
    ],
)
def test_the_exported_network_answers_raw_pixels_as_pytorch_does(
    widths: list[int], networks: int, shift: int, rows: int
) -> None:
    model, statistics = new_ensemble(widths, networks), new_statistics(widths[0])
    pixels = draw_pixels(rows, widths[0])
    found = answer(new_session(model, statistics, shift), pixels)
    images = torch.from_numpy(statistics.normalise(pixels))
    expected, _ = probabilities(infer(model, images, shift))
    assert found.dtype == np.float32
    assert found.shape == (rows, widths[-1])
    assert np.allclose(found, expected, rtol=0, atol=1e-6)


def test_the_file_is_the_same_each_time_and_says_what_it_is_of_and_answers_as_predict(
    project: Path, write_params: ParamsWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["digits", "export"])
    write_params({"predict.shift": 1, "data.class_names": ["T-shirt", "Mantel", "café"]})
    write_json(PREPARED / "statistics.json", new_statistics().model_dump())
    save_classes(CLASSES_FILE, LABELS)
    model = new_ensemble([16, 8, 3])
    save_model(model, MODEL)
    contents = []
    for _ in range(2):
        main()
        contents.append(EXPORTED.read_bytes())
        EXPORTED.unlink()
    assert contents[0] == contents[1]
    exported = onnx.load_from_string(contents[0])
    metadata = {entry.key: entry.value for entry in exported.metadata_props}
    assert json.loads(metadata["classes"]) == ["T-shirt", "Mantel", "café"]
    # Runtimes of 2021 can read it.
    assert exported.ir_version == 7
    assert [(opset.domain, opset.version) for opset in exported.opset_import] == [("", 13)]
    session = onnxruntime.InferenceSession(contents[0])
    for other in (np.zeros((2, 4, 4), np.float32), np.zeros((2, 5, 5), np.uint8)):
        with pytest.raises(InvalidArgument):  # scaled pixels are not answered wrongly
            session.run(None, {"pixels": other})
    found = answer(session, draw_pixels(7))
    images = torch.from_numpy(new_statistics().normalise(draw_pixels(7)))
    expected, _ = probabilities(infer(model, images, shift=1))
    assert np.allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.long
@pytest.mark.skipif(
    not ((ROOT / MODEL).exists() and (ROOT / IMAGES).exists()),
    reason="no network: `make repro` trains it",
)
def test_the_committed_network_answers_every_test_image_as_pytorch_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    shift = load_params().predict.shift
    statistics = Statistics.load(PREPARED / "statistics.json")
    model = load_model(MODEL, statistics.pixels, 10)
    session, rows, difference = new_session(model, statistics, shift), 0, 0.0
    for images in read_images(IMAGES):
        expected, _ = probabilities(infer(model, torch.from_numpy(images), shift))
        found = answer(session, statistics.restore(images))
        assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
        rows, difference = rows + len(found), max(difference, np.abs(found - expected).max())
    print(f"{rows:,} test images: probabilities differ by {difference:.1e} at most")
    assert rows == len(map_images(IMAGES))
    assert difference < 1e-5
