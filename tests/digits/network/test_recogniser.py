from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from digits.data.tensors import Statistics
from digits.errors import InputError
from digits.network.inference import infer
from digits.network.model import MLP
from digits.network.recogniser import Description, Recogniser, load_recogniser
from digits.params import Predict
from tests.conftest import draw_network

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 64), np.uint8)
STATISTICS = Statistics(mean=127.5, std=73.9, pixels=64, straightened=True)
VIEWS = Predict(rotation=10, scale=0.1, shear=0, shift=1)
RECOGNISER = Recogniser(
    [draw_network([64, 30, 3], seed) for seed in range(2)],
    Description(
        widths=(64, 30, 3),
        networks=2,
        recipe="own",
        classes=("0", "1", "2"),
        statistics=STATISTICS,
        views=VIEWS,
        temperature=1.25,
    ),
)


def test_a_recogniser_answers_as_its_networks_do_and_is_loaded_as_it_was_written(
    tmp_path: Path,
) -> None:
    path, content = tmp_path / "file", RECOGNISER.encode()
    path.write_bytes(content)
    found = load_recogniser(path)
    assert found.description == RECOGNISER.description
    assert found.encode() == content
    assert len(content) < 0.3 * 4 * 2 * (64 * 30 + 30 * 3) + 1500
    expected = infer(RECOGNISER.networks, STATISTICS.normalise(PIXELS), VIEWS)
    assert np.array_equal(found.answer(PIXELS), expected)
    alone = RECOGNISER.description.model_copy(update={"networks": 1})
    assert found.first(1).encode() == Recogniser(RECOGNISER.networks[:1], alone).encode()


def test_weights_that_were_rounded_up_are_not_rounded_again(tmp_path: Path) -> None:
    weights = np.array(2 * [[0.999] + 63 * [1 / 64]], np.float32)  # 63.9 units become 64
    network = MLP.of([(weights, np.zeros(2, np.float32))])
    changed = {"widths": (64, 2), "networks": 1, "classes": ("0", "1")}
    one = Recogniser([network], RECOGNISER.description.model_copy(update=changed))
    (tmp_path / "file").write_bytes(one.encode())
    assert np.array_equal(load_recogniser(tmp_path / "file").answer(PIXELS), one.answer(PIXELS))
    assert one.answer(PIXELS).any()


def test_answers_that_are_not_finite_name_the_file(tmp_path: Path) -> None:
    tensors = load(RECOGNISER.encode())
    tensors |= {
        name: values + np.float32(3e38) for name, values in tensors.items() if "bias" in name
    }
    described = {"description": RECOGNISER.description.model_dump_json()}
    (tmp_path / "file").write_bytes(save(tensors, described))
    with pytest.raises(InputError, match=r"file: the network's answers are not finite"):
        load_recogniser(tmp_path / "file").answer(PIXELS)


NAME = "networks.1.layers.0"
Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop(f"{NAME}.bias"),
        lambda tensors: tensors.update(more=np.zeros(1)),
        lambda tensors: tensors.update({f"{NAME}.weight": np.full((30, 64), 65, np.int8)}),
        lambda tensors: tensors.update({f"{NAME}.weight": np.full((30, 64), -128, np.int8)}),
        lambda tensors: tensors.update({f"{NAME}.weight": np.zeros((30, 63), np.int8)}),
        lambda tensors: tensors.update({f"{NAME}.weight": np.zeros((30, 64), np.float32)}),
        lambda tensors: tensors.update({f"{NAME}.unit": np.full(30, 0.3, np.float32)}),
        lambda tensors: tensors.update({f"{NAME}.unit": np.full(30, -0.5, np.float32)}),
        lambda tensors: tensors.update({f"{NAME}.unit": np.full(30, 2.0**127, np.float32)}),
        lambda tensors: tensors.update({f"{NAME}.unit": np.full(30, 2.0**-149, np.float32)}),
        lambda tensors: tensors.update({f"{NAME}.bias": np.full(30, np.inf, np.float32)}),
    ],
)
def test_tensors_that_are_not_a_recognisers_are_refused(tmp_path: Path, change: Change) -> None:
    tensors = load(RECOGNISER.encode())
    change(tensors)
    described = {"description": RECOGNISER.description.model_dump_json()}
    (tmp_path / "file").write_bytes(save(tensors, described))
    with pytest.raises(InputError, match=r"expected a recogniser that report wrote$") as error:
        load_recogniser(tmp_path / "file")
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": (64, 30, 30, 3)},
        {"networks": 2**62},
        {"networks": 1},
        {"classes": ("0", "1")},
        {"classes": ("0", "1", "1")},
        {"classes": ("0", "1", "\x1b[31m")},
        {"widths": (64, 30, 1), "classes": ("0",)},
        {"statistics": STATISTICS.model_copy(update={"pixels": 49})},
        {"statistics": STATISTICS.model_copy(update={"pixels": 63})},
        {"statistics": STATISTICS.model_copy(update={"std": 1e-300})},
        {"temperature": 0.0},
    ],
)
def test_descriptions_of_something_else_are_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    description = RECOGNISER.description.model_copy(update=changes)
    described = {"description": description.model_dump_json()}
    for content in (save(load(RECOGNISER.encode()), described), b"foreign", save({})):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(InputError, match=r"expected a recogniser that report wrote$"):
            load_recogniser(tmp_path / "file")
