from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dvc.utils import serialize
from dvc.utils.hydra import apply_overrides
from hypothesis import given, settings
from hypothesis import strategies as st

from digits.errors import InputError
from digits.params import (
    ONE_CYCLE,
    PARAMS,
    as_yaml,
    leaves,
    load_params,
    load_recipe,
    load_yaml,
    name_recipe,
)
from tests.sandbox import ROOT

NAMES = "data.class_names = ['a', 'b'"
ROWS = "expected a number of rows, or a fraction between 0 and 1"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.lr", "fast", "train.lr = 'fast': expected a valid number"),
        ("train.lr", 0, "train.lr = 0: expected greater than 0"),
        ("train.lr", float("nan"), "train.lr = nan: expected a finite number"),
        ("train.lr.x", 1, "train.lr = {'x': 1}: expected a valid number"),
        ("train.epochs", 2.5, "train.epochs = 2.5: expected a valid integer"),
        ("train.widths", [200, 0], "train.widths.1 = 0: expected greater than or equal to 1"),
        ("train.widths", 200, "train.widths = 200: expected a list"),
        ("train.seed", -1, "train.seed = -1: expected greater than or equal to 0"),
        ("train.schedule", "step", "train.schedule = 'step': expected 'constant', 'one_cycle' or"),
        ("train.augment.noise", 1, "train.augment.noise is not a parameter"),
        ("data.class_names", list("aba"), f"{NAMES}, 'a']: expected names that differ from each"),
        ("data.class_names", ["a", "b", "c "], f"{NAMES}, 'c ']: 'c ': expected 1 to 60 character"),
        ("data.class_names", ["a", "b", ""], f"{NAMES}, '']: '': expected 1 to 60 characters that"),
        ("prepare.validation", 1.5, f"prepare.validation = 1.5: {ROWS}"),
        ("data.class_names", ["a", "b" * 61], "data.class_names = ['a', 'bbbb"),
        ("prepare.validation", 0.0, f"prepare.validation = 0.0: {ROWS}"),
        ("prepare.validation", 1.0, f"prepare.validation = 1.0: {ROWS}"),
        ("prepare.validation", 0, f"prepare.validation = 0: {ROWS}"),
        ("prepare.validation", True, f"prepare.validation = True: {ROWS}"),
        ("evaluate.gallery", None, "evaluate.gallery = None: expected a valid integer"),
    ],
)
def test_a_param_that_cannot_be_used_is_named_with_its_value(
    project: Path, key: str, value: Any, message: str
) -> None:
    with pytest.raises(InputError) as error:
        load_params(changes={key: value})
    assert str(error.value).startswith(f"params.yaml: {message}")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prepare.validation", 1),
        ("prepare.validation", 0.999),
        ("data.class_names", ("a", "b" * 60)),
    ],
)
def test_a_param_at_its_limit_is_taken(project: Path, key: str, value: object) -> None:
    section, name = key.split(".")
    assert getattr(getattr(load_params(changes={key: value}), section), name) == value


def test_dvc_leaves_params_as_they_are_where_it_sets_the_values_that_are_there(
    tmp_path: Path,
) -> None:
    copy, text = tmp_path / PARAMS, (ROOT / PARAMS).read_text()
    copy.write_text(text)
    train = load_params(copy).train
    apply_overrides(copy, [f"train.lr={train.lr}", f"train.widths={list(train.widths)}"])
    assert copy.read_text() == text


LR = "  lr: 0.1\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  momentum: 0.9\n", "", "train.momentum is missing"),
        (LR, "  lrr: 0.1\n", "train.lrr is not a parameter; did you mean train.lr?"),
        ("download:\n", "downloads:\n", "downloads is not a parameter; did you mean download?"),
        ("download:\n", "other:\n", "other is not a parameter"),
        ("download:\n  seed: 0\n", "", "download is missing"),
        (LR, 2 * LR, "row 22, column 3: found duplicate key 'lr'; expected YAML"),
    ],
)
def test_a_key_that_is_not_as_expected_is_named(
    project: Path, old: str, new: str, message: str
) -> None:
    text = as_yaml(load_params().model_dump(mode="json"))
    assert text.count(old) == 1
    Path("params.yaml").write_text(text.replace(old, new))
    with pytest.raises(InputError) as error:
        load_params()
    assert str(error.value) == f"params.yaml: {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"train: {1", "row 2, column 1: did not find expected ',' or '}'; expected YAML"),
        (b"", "the file = None: expected keys with values"),
        (b"- 1\n", "the file = [1]: expected keys with values"),
        (b"train: 2020-13-45", "month must be in 1..12; expected YAML"),
        (b"train: !!python/object/apply:os.getcwd []", "row 1, column 8: could not determine"),
        (b"a: !!bool x", "'x'; expected YAML"),
        (b"\xff\xfe\x00", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
    ids=range(7),
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        load_params(path)
    assert str(error.value).startswith(f"{path}: {message}")


def read(reader: Callable[[Path], object], path: Path) -> str:
    try:
        return repr(reader(path))
    except (InputError, serialize.YAMLError, ValueError):
        return "refused"


SCALARS = ["1e-3", "1.e5", ".5e3", "-.5", "1_000", "012", "0o17", "0x1F", "1:30", "+.inf", ".nan"]
WORDS = ["no", "On", "y", "TRUE", "true", "~", "NULL", "''", "'1'", "2020-01-02", "!!str 1", "<5"]
SIGNS = st.text("0123456789+-._eExobaf", min_size=1, max_size=9)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SCALARS + WORDS) | SIGNS | st.text("truefalsnoy~:1 ", max_size=5))
def test_a_scalar_is_read_as_dvc_reads_it_and_written_so(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "scalar.yaml"
    path.write_text(f"a: {text}\n")
    expected = read(serialize.load_yaml, path)
    assert read(partial(load_yaml, expected="YAML"), path) == expected
    path.write_text(as_yaml({"größer": text}))
    assert serialize.load_yaml(path) == load_yaml(path, "YAML") == {"größer": text}


def test_params_are_named_by_the_recipe_that_makes_the_same_network() -> None:
    for path in ONE_CYCLE.parent.glob("*.yaml"):
        elsewhere = {"data.train": "a.csv", "evaluate.gallery": 7}
        assert name_recipe(load_recipe(path, elsewhere)) == path.stem
        straightened = load_recipe(path).prepare.straighten
        changes = {
            "train.lr": 0.0123,
            "predict.shear": 0.0123,
            "prepare.straighten": not straightened,
        }
        for change in changes.items():
            assert name_recipe(load_recipe(path, dict([change]))) == "own"


def test_a_recipe_is_laid_over_another_and_either_is_named_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, below = tmp_path / "own.yaml", tmp_path / "below.yaml"
    for there, expected in ((PARAMS, "the parameters"), (path, "a recipe")):
        with pytest.raises(InputError, match=f"no such file; expected {expected}$"):
            load_params(tmp_path / there) if there == PARAMS else load_recipe(path)
    path.write_text("train: {lr: 0.5}\n")
    known = load_recipe(ONE_CYCLE)
    train = known.train.model_copy(update={"lr": 0.5, "epochs": 7})
    assert load_recipe(path, {"train.epochs": 7}) == known.model_copy(update={"train": train})
    with pytest.raises(InputError, match=f"^{path}: train.lr = 0: expected greater than 0$"):
        load_recipe(path, {"train.lr": 0})
    monkeypatch.setattr("digits.params.ONE_CYCLE", below)
    with pytest.raises(InputError, match=f"^{below}: no such file; expected the parameters$"):
        load_recipe(path)
    below.write_text("{")
    with pytest.raises(InputError, match=f"^{below}: row 2, column 1: .*; expected YAML$"):
        load_recipe(path)


def test_yaml_is_in_the_order_of_its_keys_and_its_leaves_have_whole_names() -> None:
    values = {"größer": 1, "a": {"b": [1, {"x": 2}], "c": {"d": None, 5: {}}}}
    assert as_yaml(values).startswith("größer: 1\na:\n  b:\n  - 1\n")
    expected = {"größer": 1, "a.b": [1, {"x": 2}], "a.c.d": None}
    assert dict(leaves("", values)) == expected
    assert dict(leaves("top", values)) == {f"top.{name}": one for name, one in expected.items()}


def test_each_network_alone_has_the_next_seed() -> None:
    train = load_recipe(ONE_CYCLE, {"train.seed": 7, "train.networks": 3}).train
    assert [(one.seed, one.networks) for one in train.members()] == [(7, 1), (8, 1), (9, 1)]
