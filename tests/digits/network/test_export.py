import numpy as np
import pytest
import torch

from digits.data.classes import CLASSES as CLASSES_FILE
from digits.data.classes import save_classes
from digits.data.tensors import PREPARED, Statistics
from digits.files import write_json
from digits.network.inference import infer, probabilities
from digits.network.model import MODEL, Ensemble, save_model
from digits.params import Predict, load_params
from tests.conftest import LABELS, ParamsWriter, new_network

pytest.importorskip("onnx", reason="ONNX comes with the extra export")
pytest.importorskip("onnxruntime", reason="ONNX Runtime comes with the extra export")
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from digits.network.export import EXPORTED, build, main

pytestmark = pytest.mark.usefixtures("plain_products")


NONE = Predict(rotation=0, scale=0, shear=0, shift=0)
ALL = Predict(rotation=20, scale=0.2, shear=0.3, shift=1.5)


def check_answers(
    exported: bytes, model: Ensemble, statistics: Statistics, params: Predict
) -> None:
    """Assert that pixels, of 7 images or of none, are answered as PyTorch does it."""
    session, side = onnxruntime.InferenceSession(exported), statistics.side
    pixels = np.random.default_rng(0).integers(0, 256, (7, side, side), np.uint8)
    images = torch.from_numpy(statistics.normalise(pixels.reshape(7, side * side)))
    expected, _ = probabilities(infer(model, images, params))
    for rows in (7, 0):
        [found] = session.run(["probabilities"], {"pixels": pixels[:rows]})
        assert found.dtype == np.float32
        assert found.shape == (rows, model.widths[-1])
        assert np.allclose(found, expected[:rows], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("widths", "networks", "params"),
    [
        ([16, 3], 1, NONE),
        ([25, 9, 7, 5, 12], 1, NONE),
        ([16, 8, 6, 3], 3, NONE),
        ([16, 8, 3], 1, ALL),
        ([9, 4, 2], 2, ALL),
    ],
)
def test_the_exported_network_answers_raw_pixels_as_pytorch_does(
    widths: list[int], networks: int, params: Predict
) -> None:
    model = Ensemble([new_network(widths, seed) for seed in range(networks)])
    statistics = Statistics(mean=33.25, std=78.5, pixels=widths[0], straightened=False)
    check_answers(build(model, statistics, params).SerializeToString(), model, statistics, params)


@pytest.mark.usefixtures("project")
def test_the_file_is_the_same_each_time_and_answers_as_predict_but_not_scaled_pixels(
    write_params: ParamsWriter,
) -> None:
    write_params({"predict.shift": 1.0})
    model = Ensemble([new_network([16, 8, 3])])
    statistics = Statistics(mean=33, std=78, pixels=16, straightened=False)
    write_json(PREPARED / "statistics.json", statistics.model_dump())
    save_classes(CLASSES_FILE, LABELS)
    save_model(model, MODEL)
    contents = []
    for _ in range(2):
        main()
        contents.append(EXPORTED.read_bytes())
        EXPORTED.unlink()
    assert contents[0] == contents[1]
    check_answers(contents[0], model, statistics, load_params().predict)
    session, scaled = onnxruntime.InferenceSession(contents[0]), np.zeros((2, 4, 4), np.float32)
    with pytest.raises(InvalidArgument):
        session.run(None, {"pixels": scaled})
