from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load, save

from digits.data.straightening import straighten
from digits.data.tensors import Statistics
from digits.errors import InputError
from digits.exact import softmax
from digits.network.inference import infer
from digits.network.model import MLP
from digits.params import Predict
from digits.pictures.framing import find_digits
from digits.recogniser import Description, Recogniser, as_bytes
from tests.conftest import draw_network, draw_novelty
from tests.strokes import draw

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
    replace(draw_novelty([64, 30, 3]), limit=10**10),
)


def test_a_recogniser_answers_as_its_networks_do_and_is_loaded_as_it_was_written(
    tmp_path: Path,
) -> None:
    path, content = tmp_path / "file", RECOGNISER.encode()
    path.write_bytes(content)
    found = Recogniser.load(path)
    assert found.description == RECOGNISER.description
    assert found.encode() == content
    assert len(content) < 0.3 * 4 * 2 * (64 * 30 + 30 * 3) + 2500
    expected = infer(RECOGNISER.networks, STATISTICS.normalise(PIXELS), VIEWS)
    assert np.array_equal(found.answer(PIXELS), expected)
    alone = RECOGNISER.description.model_copy(update={"networks": 1})
    assert (
        found.first(1).encode()
        == replace(RECOGNISER, networks=RECOGNISER.networks[:1], description=alone).encode()
    )


def test_probabilities_are_calibrated_and_those_of_arrays_of_any_kind_the_same() -> None:
    shares = softmax(RECOGNISER.answer(PIXELS).astype(np.float64) / 1.25)
    expected = RECOGNISER.predict([*PIXELS])
    assert [list(one.probabilities.values()) for one in expected] == shares.round(9).tolist()
    assert [one.label for one in expected] == list(map(str, shares.argmax(axis=1)))
    familiar = RECOGNISER.novelty.is_familiar(straighten(PIXELS))
    assert [one.is_familiar for one in expected] == familiar.tolist()
    assert 0 < familiar.sum() < len(PIXELS)
    assert {one.place for one in expected} == {(0, 0, 8, 8)}
    for batch in (
        PIXELS.reshape(-1, 8, 8),
        PIXELS.astype(np.int64),
        PIXELS.astype(np.float32),
        PIXELS.astype(">f8"),
        np.asfortranarray(PIXELS),
        PIXELS / 255,
        PIXELS,
        tuple(PIXELS.reshape(-1, 8, 8)),
    ):
        assert RECOGNISER.predict(batch) == expected
    assert (
        RECOGNISER.predict(PIXELS[3]) == RECOGNISER.predict(PIXELS[3].reshape(8, 8)) == expected[3]
    )


def test_a_picture_is_answered_alike_as_a_file_its_bytes_an_image_and_an_array(
    tmp_path: Path,
) -> None:
    drawn = draw(4, size=60)
    drawn.save(path := tmp_path / "four.png")
    expected = RECOGNISER.predict(path)
    assert expected.place == RECOGNISER.read(path)[0].place != (0, 0, 8, 8)
    for picture in (str(path), path.read_bytes(), drawn, np.asarray(drawn)):
        assert RECOGNISER.predict(picture) == expected
    assert drawn.size == (60, 60)  # a thumbnail would have changed it
    two = Image.new("RGB", (120, 60))
    two.paste(drawn, (0, 0))
    two.paste(drawn, (60, 0))
    with pytest.raises(InputError, match=r"^picture: 2 digits; expected one, or read\(\)"):
        RECOGNISER.predict(two)
    assert [one.place[0] // 60 for one in RECOGNISER.read(two)] == [0, 1]
    close = Image.new("RGB", (60, 60), "white")
    for left in (10, 26):
        close.paste(draw(1, size=60).crop((25, 0, 37, 60)), (left, 0))
    assert [len(RECOGNISER.read(close, sheet=on)) for on in (False, True)] == [1, 2]


def test_pixels_are_shares_of_255_where_none_is_above_1_by_a_thousandth() -> None:
    marks = PIXELS > 127
    for values, expected in (
        (marks, marks * 255),
        (marks * 1.0009, marks * 255),
        (marks * 1.001, marks * 1),
        (marks.astype(np.uint8), marks * 1),
        (PIXELS / 255 * 254.6, PIXELS / 255 * 254.6),
    ):
        found = as_bytes(values)
        assert found.dtype == np.uint8
        assert np.array_equal(found, np.rint(expected))


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.full(64, 256), r"int64 of shape \(64,\), from 256 to 256"),
        (np.full((8, 8), -0.5), r"float64 of shape \(8, 8\), from -0.5 to -0.5"),
        (np.full((8, 8), np.nan), r"float64 of shape \(8, 8\), from nan to nan"),
        (np.full((8, 8), "7"), r"<U1 of shape \(8, 8\)"),
        (np.array(5, np.uint8), "[^\n]*"),
        (np.zeros((5, 0), np.uint8), "[^\n]*"),
        (PIXELS[:2].tolist(), "[^\n]*"),
        (None, r"object of shape \(\)"),
        (np.zeros((0, 64)), r"float64 of shape \(0, 64\)"),
        (np.zeros((2, 3, 4, 5), np.uint8), r"Cannot handle [^\n]*"),
        (np.zeros((5, 63), np.uint8), "blank"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(image: Any, told: str) -> None:
    with pytest.raises(InputError, match=rf"^\w+: {told}; expected [^\n]*\Z"):
        RECOGNISER.predict(image)


def test_views_of_a_picture_are_averaged_and_a_blank_image_is_not_familiar() -> None:
    [digit] = find_digits(drawn := draw(4, size=60), 8)
    mean = RECOGNISER.probabilities(digit.views).mean(axis=0)
    assert list(RECOGNISER.predict(drawn).probabilities.values()) == mean.round(9).tolist()
    assert len(digit.views) == 3
    blank = np.zeros((1, 64), np.uint8)
    assert not replace(RECOGNISER.novelty, limit=2**60).is_familiar(blank).any()
    with pytest.raises(InputError, match=r"^array: shape \(1, 8, 8\); expected \(rows, 64\)$"):
        RECOGNISER.answer(blank.reshape(1, 8, 8))


def test_weights_that_were_rounded_up_are_not_rounded_again(tmp_path: Path) -> None:
    weights = np.array(2 * [[0.999] + 63 * [1 / 64]], np.float32)  # 63.9 units become 64
    network = MLP.of([(weights, np.zeros(2, np.float32))])
    changed = {"widths": (64, 2), "networks": 1, "classes": ("0", "1")}
    description = RECOGNISER.description.model_copy(update=changed)
    one = Recogniser([network], description, draw_novelty([64, 2]))
    (tmp_path / "file").write_bytes(one.encode())
    assert np.array_equal(Recogniser.load(tmp_path / "file").answer(PIXELS), one.answer(PIXELS))
    assert one.answer(PIXELS).any()


@pytest.mark.parametrize("unit", [2.0**-56, 2.0**50])
def test_units_at_the_ends_of_their_range_are_read(tmp_path: Path, unit: float) -> None:
    tensors = load(RECOGNISER.encode()) | {f"{NAME}.unit": np.full(30, unit, np.float32)}
    content = save(tensors, {"description": RECOGNISER.description.model_dump_json()})
    (tmp_path / "file").write_bytes(content)
    assert Recogniser.load(tmp_path / "file").encode() == content


def test_answers_that_are_not_finite_name_the_file(tmp_path: Path) -> None:
    tensors = load(RECOGNISER.encode())
    tensors |= {
        name: values + np.float32(3e38) for name, values in tensors.items() if "bias" in name
    }
    described = {"description": RECOGNISER.description.model_dump_json()}
    (tmp_path / "file").write_bytes(save(tensors, described))
    with pytest.raises(InputError, match=r"file: the network's answers are not finite"):
        Recogniser.load(tmp_path / "file").answer(PIXELS)


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
        lambda tensors: tensors.update({f"{NAME}.unit": np.full(30, 2.0**51, np.float32)}),
        lambda tensors: tensors.update({f"{NAME}.unit": np.full(30, 2.0**-57, np.float32)}),
        lambda tensors: tensors.update({f"{NAME}.bias": np.full(30, np.inf, np.float32)}),
        lambda tensors: tensors.update({"novelty.mean": np.zeros((3, 63), np.uint8)}),
        lambda tensors: tensors.update({"novelty.precision": np.zeros((3, 64), np.int16)}),
        lambda tensors: tensors.update({"novelty.limit": np.zeros(2, np.int64)}),
        lambda tensors: tensors.pop("novelty.limit"),
    ],
)
def test_tensors_that_are_not_a_recognisers_are_refused(tmp_path: Path, change: Change) -> None:
    tensors = load(RECOGNISER.encode())
    change(tensors)
    described = {"description": RECOGNISER.description.model_dump_json()}
    (tmp_path / "file").write_bytes(save(tensors, described))
    with pytest.raises(InputError, match=r"expected what evaluate writes") as error:
        Recogniser.load(tmp_path / "file")
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
        {"temperature": 1e-320},
    ],
)
def test_descriptions_of_something_else_are_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    description = RECOGNISER.description.model_copy(update=changes)
    described = {"description": description.model_dump_json()}
    for content in (save(load(RECOGNISER.encode()), described), b"foreign", save({})):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(InputError, match=r"expected what evaluate writes"):
            Recogniser.load(tmp_path / "file")
