import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.data.classes import CLASSES as CLASSES_FILE
from digits.data.classes import save_classes
from digits.data.tensors import PREPARED, Statistics, count_images, read_images
from digits.errors import InputError
from digits.network.inference import infer, probabilities
from digits.network.model import MLP, MODEL, Ensemble, load_model, save_model
from digits.params import load_params
from stages._inputs import hash_path
from tests.conftest import LABELS, PIXELS, ParamsWriter
from tests.sandbox import CLASSES, ROOT

pytest.importorskip("onnx", reason="ONNX comes with `make test-results`")
pytest.importorskip("onnxruntime", reason="ONNX Runtime comes with `make test-results`")
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from digits.network import export as onnx_export
from digits.network.export import EXPORTED, build, describe

pytestmark = pytest.mark.usefixtures("plain_products")
IMAGES = PREPARED / "test" / "images.npy"


def new_ensemble(widths: list[int], networks: int = 1) -> Ensemble:
    models = [MLP(widths) for _ in range(networks)]
    for seed, model in enumerate(models):
        model.reset(torch.Generator().manual_seed(seed))
    return Ensemble(models)


def new_statistics(pixels: int = PIXELS) -> Statistics:
    return Statistics(mean=33.25, std=78.5, pixels=pixels)


def draw_pixels(rows: int, pixels: int = PIXELS) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (rows, pixels), np.uint8)


def new_session(exported: Any) -> Any:
    return onnxruntime.InferenceSession(exported.SerializeToString())


def answer(exported: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities, shape (rows, classes), of images, shape (rows, pixels)."""
    session = new_session(exported)
    [images] = session.get_inputs()
    shaped = pixels.reshape(len(pixels), *images.shape[1:])
    [found] = session.run(["probabilities"], {"pixels": shaped})
    return np.asarray(found)


@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize(
    ("widths", "networks", "shift"),
    [
        ([16, 3], 1, 0),
        ([16, 8, 3], 1, 0),
        ([25, 9, 7, 5, 12], 1, 0),
        ([16, 8, 6, 3], 3, 0),
        ([1, 2], 2, 0),
        ([16, 8, 3], 1, 2),
        ([9, 4, 2], 2, 1),
    ],
)
def test_the_exported_network_answers_raw_pixels_as_pytorch_does(
    widths: list[int], networks: int, shift: int, rows: int
) -> None:
    model, statistics = new_ensemble(widths, networks), new_statistics(widths[0])
    pixels = draw_pixels(rows, widths[0])
    found = answer(build(model, statistics, shift, {}), pixels)
    images = torch.from_numpy(statistics.normalise(pixels))
    expected, _ = probabilities(infer(model, images, shift))
    assert found.dtype == np.float32
    assert found.shape == (rows, widths[-1])
    assert np.allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("networks", [1, 2])
def test_every_part_of_the_graph_moves_the_answer(networks: int) -> None:
    # Or an answer near the expected one would say little.
    pixels = draw_pixels(7)
    others = [
        (new_ensemble([16, 8, 3], networks), new_statistics(), 0),
        (new_ensemble([16, 8, 3], networks + 1), new_statistics(), 0),
        (new_ensemble([16, 8, 3], networks), Statistics(mean=34, std=78.5, pixels=16), 0),
        (new_ensemble([16, 8, 3], networks), Statistics(mean=33.25, std=79, pixels=16), 0),
        (new_ensemble([16, 8, 3], networks), new_statistics(), 1),
    ]
    answers = [answer(build(*other, {}), pixels) for other in others]
    for other in answers[1:]:
        assert np.abs(other - answers[0]).max() > 1e-4


def test_the_graph_is_small_and_its_weights_have_the_names_of_pytorch() -> None:
    model = new_ensemble([16, 8, 3])
    graph = build(model, new_statistics(), 0, {}).graph
    operators = ["Cast", "Flatten", "Sub", "Div", "Gemm", "Relu", "Gemm", "Softmax"]
    assert [node.op_type for node in graph.node] == operators
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name, value in model.state_dict().items():
        assert np.array_equal(weights[name], value.numpy())


def test_input_and_output_are_named_shaped_and_described() -> None:
    exported = build(new_ensemble([16, 8, 3]), new_statistics(), 0, {})
    session = new_session(exported)
    [pixels], [shares] = session.get_inputs(), session.get_outputs()
    assert (pixels.name, pixels.type) == ("pixels", "tensor(uint8)")
    assert pixels.shape == ["batch", 4, 4]
    assert (shares.name, shares.type) == ("probabilities", "tensor(float)")
    assert shares.shape == ["batch", 3]
    assert "4 x 4 raw pixels from 0 to 255" in exported.graph.input[0].doc_string
    assert "probability of each class" in exported.graph.output[0].doc_string


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 4, 4), np.float32), np.zeros((2, 16), np.uint8), np.zeros((2, 5, 5), np.uint8)],
    ids=["scaled", "flat", "large"],
)
def test_images_of_another_type_or_shape_are_refused(images: NDArray[Any]) -> None:
    session = new_session(build(new_ensemble([16, 3]), new_statistics(), 0, {}))
    with pytest.raises(InvalidArgument):
        session.run(None, {"pixels": images})


@pytest.mark.parametrize(
    ("networks", "shift", "sentences"),
    [
        (1, 0, ""),
        (2, 0, " The logits of 2 such networks are averaged."),
        (1, 2, " Logits are averaged over the image shifted by -2 to 2 pixels along each axis."),
    ],
)
def test_the_model_says_what_it_is(networks: int, shift: int, sentences: str) -> None:
    exported = build(new_ensemble([16, 8, 3], networks), new_statistics(), shift, {})
    start = "A multilayer perceptron, 16-8-3, from raw pixels to the probability of each class."
    assert exported.doc_string == start + sentences


def test_the_metadata_tell_classes_normalisation_data_and_licence() -> None:
    model, names = new_ensemble([16, 8, 3]), ["T-shirt", "Mantel", "café"]
    metadata = describe(model, new_statistics(), "train.csv", names)
    kept = new_session(build(model, new_statistics(), 0, metadata)).get_modelmeta()
    assert kept.producer_name == "digits"
    found = kept.custom_metadata_map
    assert json.loads(found.pop("classes")) == names
    assert found.pop("normalisation") == "in the graph: (pixels - 33.25) / 78.5"
    assert found.pop("data") == "train.csv"
    assert len(found.pop("network_md5")) == 32
    assert found == {"model_license": "MIT"}


def test_old_runtimes_can_read_it_and_no_version_of_ours_is_in_it() -> None:
    exported = build(new_ensemble([16, 3]), new_statistics(), 1, {})
    assert exported.ir_version == 7
    assert [(opset.domain, opset.version) for opset in exported.opset_import] == [("", 13)]
    assert not exported.producer_version


@pytest.fixture
def trained(project: Path) -> Path:
    """Go to a project with statistics, classes and a network."""
    new_statistics().save(PREPARED / "statistics.json")
    save_classes(CLASSES_FILE, LABELS)
    save_model(new_ensemble([PIXELS, 8, CLASSES]), MODEL)
    return project


def test_the_same_network_gives_the_same_bytes(
    trained: Path, write_params: ParamsWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params({"predict.shift": 1})
    onnx_export.main()
    before = EXPORTED.read_bytes()
    EXPORTED.unlink()
    onnx_export.main()
    assert EXPORTED.read_bytes() == before
    told = capsys.readouterr().out.splitlines()
    assert told[0] == told[1]
    assert told[0] == (
        f"export: wrote models/mlp.onnx, {len(before):,} bytes; in: pixels, uint8, (batch, 4, 4); "
        "out: probabilities, float32, (batch, 3)"
    )


def test_what_is_exported_is_what_predict_answers_with(
    trained: Path, write_params: ParamsWriter
) -> None:
    write_params({"predict.shift": 1})
    onnx_export.main()
    pixels = draw_pixels(7)
    images = torch.from_numpy(new_statistics().normalise(pixels))
    expected, _ = probabilities(infer(load_model(MODEL, PIXELS, CLASSES), images, shift=1))
    assert np.allclose(answer(onnx.load(EXPORTED), pixels), expected, rtol=0, atol=1e-6)


def test_the_file_names_its_data_and_the_hash_of_the_network_in_dvc_lock(trained: Path) -> None:
    onnx_export.main()
    metadata = {entry.key: entry.value for entry in onnx.load(EXPORTED).metadata_props}
    assert metadata["data"] == "train.csv"
    assert metadata["network_md5"] == hash_path(MODEL)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (MODEL, "mlp.safetensors: no such file; expected a network that train wrote"),
        (PREPARED / "statistics.json", "statistics.json: no such file; expected what prepare"),
        (Path("params.yaml"), "params.yaml: no such file"),
    ],
    ids=["network", "statistics", "params"],
)
def test_what_is_missing_is_named_and_an_earlier_file_stays(
    trained: Path, path: Path, message: str
) -> None:
    EXPORTED.write_bytes(b"earlier")
    path.unlink()
    with pytest.raises(InputError, match=message):
        onnx_export.main()
    assert EXPORTED.read_bytes() == b"earlier"


@pytest.mark.parametrize(("pixels", "classes"), [(25, CLASSES), (PIXELS, CLASSES + 1)])
def test_a_network_that_does_not_fit_is_refused(trained: Path, pixels: int, classes: int) -> None:
    new_statistics(pixels).save(PREPARED / "statistics.json")
    save_classes(CLASSES_FILE, "0123"[:classes])
    message = f"a network from 16 pixels to 3 classes; expected {pixels} to {classes}"
    with pytest.raises(InputError, match=message):
        onnx_export.main()
    assert not EXPORTED.exists()


def test_a_network_too_large_for_the_format_is_refused(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "MOST_BYTES", 600)
    with pytest.raises(InputError, match="652 bytes of weights; expected at most 600"):
        onnx_export.main()
    assert not EXPORTED.exists()


def test_a_graph_that_onnx_finds_wrong_is_not_written(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EXPORTED.write_bytes(b"earlier")
    monkeypatch.setattr(onnx_export, "IR_VERSION", 2)
    with pytest.raises(onnx.checker.ValidationError):
        onnx_export.main()
    assert EXPORTED.read_bytes() == b"earlier"


def test_an_earlier_file_stays_where_none_can_be_written(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EXPORTED.write_bytes(b"earlier")
    monkeypatch.setattr("digits.files.token_hex", lambda _: "taken")
    EXPORTED.with_name("mlp.onnx.taken.partial").mkdir()
    with pytest.raises(InputError, match=r"mlp\.onnx: .*; expected to be able to write it"):
        onnx_export.main()
    assert EXPORTED.read_bytes() == b"earlier"


def test_data_are_named_without_the_folders_of_this_machine() -> None:
    assert onnx_export.name_data("data/mnist/train.csv") == "data/mnist/train.csv"
    assert onnx_export.name_data("/home/me/secret/train.csv") == "train.csv"


@pytest.mark.long
@pytest.mark.skipif(
    not ((ROOT / MODEL).exists() and (ROOT / IMAGES).exists()),
    reason="no network: `make repro` trains it",
)
def test_the_committed_network_answers_every_test_image_as_pytorch_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    params = load_params()
    statistics = Statistics.load(PREPARED / "statistics.json")
    model = load_model(MODEL, statistics.pixels, 10)
    shift = params.predict.shift
    exported, rows, difference = build(model, statistics, shift, {}), 0, 0.0
    for images in read_images(IMAGES):
        expected, _ = probabilities(infer(model, torch.from_numpy(images), shift))
        found = answer(exported, statistics.restore(images))
        assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
        rows, difference = rows + len(found), max(difference, np.abs(found - expected).max())
    print(f"{rows:,} test images: probabilities differ by {difference:.1e} at most")
    assert rows == count_images(IMAGES)[0]
    assert difference < 1e-5
