import re
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml

from digits.errors import InputError
from digits.params import as_yaml, load_params, load_recipe
from tests.conftest import ParamsWriter
from tests.sandbox import ROOT

NAMES = "data.class_names = ['a', 'b'"
ROWS = "expected a number of rows, or a fraction between 0 and 1"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.lr", "fast", "train.lr = 'fast': expected a valid number"),
        ("train.lr", 0, "train.lr = 0: expected greater than 0"),
        ("train.lr", float("nan"), "train.lr = nan: expected a finite number"),
        ("train.epochs", 2.5, "train.epochs = 2.5: expected a valid integer"),
        ("train.epochs", True, "train.epochs = True: expected a valid integer"),
        ("train.momentum", 1, "train.momentum = 1: expected less than 1"),
        ("train.widths", [200, 0], "train.widths.1 = 0: expected greater than or equal to 1"),
        ("train.widths", 200, "train.widths = 200: expected a list"),
        (
            "train.widths",
            [8, 65537],
            "train.widths.1 = 65537: expected less than or equal to 65536",
        ),
        ("train.seed", -1, "train.seed = -1: expected greater than or equal to 0"),
        ("train.schedule", "step", "train.schedule = 'step': expected 'constant', 'one_cycle' or"),
        ("train.augment.shift", -1, "train.augment.shift = -1: expected greater than or equal to"),
        ("train.augment.noise", 1, "train.augment.noise is not a parameter"),
        ("train.learning_rate", 0.1, "train.learning_rate is not a parameter"),
        ("data.class_names", list("aba"), f"{NAMES}, 'a']: expected names that differ from each"),
        (
            "data.class_names",
            ["a", "b", "c "],
            f"{NAMES}, 'c ']: 'c ': expected a name that can be printed",
        ),
        *(
            (
                "data.class_names",
                ["a", "b", name],
                f"{NAMES}, {name!r}]: {name!r}: expected no '<' before",
            )
            for name in ("</script>", "a <!-- b", "<script", "<b>")
        ),
        ("data.class_names", ["a", "b", ""], f"{NAMES}, '']: '': expected 1 to 60 characters"),
        ("data.class_names", ["a", "b", 9], "data.class_names.2 = 9: expected a valid string"),
        ("data.train", 7, "data.train = 7: expected a valid string"),
        ("prepare.validation", 1.5, f"prepare.validation = 1.5: {ROWS}"),
        ("prepare.validation", 0, f"prepare.validation = 0: {ROWS}"),
        ("prepare.validation", "7k", f"prepare.validation = '7k': {ROWS}"),
        ("prepare.validation", True, f"prepare.validation = True: {ROWS}"),
        ("prepare.validation", float("nan"), f"prepare.validation = nan: {ROWS}"),
        ("train.batch_size", 10**22, "train.batch_size = 10000000000000000000000: expected less"),
        ("train.float", 3, "train.float is not a parameter"),
        ("evaluate.gallery", None, "evaluate.gallery = None: expected a valid integer"),
    ],
)
def test_a_param_that_cannot_be_used_is_named_with_its_value(
    project: Path, write_params: ParamsWriter, key: str, value: Any, message: str
) -> None:
    write_params({key: value})
    with pytest.raises(InputError) as error:
        load_params()
    assert str(error.value).startswith(f"params.yaml: {message}")
    assert "more)" not in str(error.value)
    assert "\n" not in str(error.value)


def test_nesterov_without_momentum_is_refused(project: Path, write_params: ParamsWriter) -> None:
    write_params({"train.nesterov": True})
    assert load_params().train.nesterov
    write_params({"train.nesterov": True, "train.momentum": 0})
    message = (
        r"^params.yaml: train.nesterov = True: expected false with momentum = 0: there is none"
    )
    with pytest.raises(InputError, match=message):
        load_params()


@pytest.mark.parametrize(
    "found",
    [
        ["data.classes"],
        ["numerics"],
        ["train.device"],
        ["train.device", "train.precision", "numerics"],
    ],
)
def test_a_file_of_before_is_told_what_became_of_each_of_its_params(
    project: Path, found: list[str]
) -> None:
    old = {"numerics": {"mode": "portable", "threads": 2}}
    with pytest.raises(InputError) as error:
        load_params(changes={"train.lr": "fast"} | {key: old.get(key, "cpu") for key in found})
    told = str(error.value)
    assert re.findall(r"([a-z.]+) \([^)]+\)[,:]", told) == found
    assert ("DIGITS_DEVICE=cpu" in told) is ("train.device" in found)
    assert told.startswith("params.yaml: ")
    assert told.endswith(": no longer known; expected to be left out")


def test_names_of_classes_may_hold_other_signs(project: Path, write_params: ParamsWriter) -> None:
    names = ("<5", "a < b", "=1+1|*x*")
    write_params({"data.class_names": list(names)})
    assert load_params().data.class_names == names


PARAMS = [
    ROOT / "params.yaml",
    ROOT / "recipes" / "one_cycle.yaml",
]


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_dvc_leaves_a_file_as_it_is_where_it_sets_the_values_that_are_there(
    tmp_path: Path, path: Path
) -> None:
    copy = tmp_path / "params.yaml"
    copy.write_bytes(path.read_bytes())
    train = load_params(path).train
    apply_overrides(copy, [f"train.lr={train.lr}", f"train.widths={list(train.widths)}"])
    assert copy.read_text() == path.read_text()


def test_values_are_told_in_one_style(project: Path) -> None:
    text = Path("params.yaml").read_text()
    told = as_yaml(load_params().model_dump(mode="json"))
    changed = text.replace("widths:\n  - 8\n", "widths: [8] # one\n")
    assert changed != text
    Path("params.yaml").write_text(f"# a comment\n{changed}")
    assert as_yaml(load_params().model_dump(mode="json")) == told
    Path("params.yaml").write_text(told)
    assert as_yaml(load_params().model_dump(mode="json")) == told


def test_a_missing_param_is_named(project: Path) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  momentum: 0.9\n", ""))
    with pytest.raises(InputError, match=r"^params.yaml: train.momentum is missing$"):
        load_params()


def test_a_missing_section_is_named_and_further_faults_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("data: {train: a, test: b, class_names: []}\n")
    with pytest.raises(InputError, match=r"params.yaml: download is missing \(and 4 more\)$"):
        load_params(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  lr: 0.1\n", "  lrr: 0.1\n", "train.lrr is not a parameter; did you mean train.lr?"),
        ("    shift: 0.0\n", "    shifts: 0.0\n", "train.augment.shifts .* train.augment.shift?"),
        ("download:\n", "downloads:\n", "downloads is not a parameter; did you mean download?"),
        ("  lr: 0.1\n", "  rate: 0.1\n", "train.rate is not a parameter (and 1 more)"),
        ("  lr: 0.1\n", "  lr: 0.1\n  lrr: 0.1\n", "train.lrr .*; did you mean train.lr?"),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest(
    project: Path, old: str, new: str, message: str
) -> None:
    text = as_yaml(load_params().model_dump(mode="json"))
    assert text.count(old) == 1
    Path("params.yaml").write_text(text.replace(old, new))
    pattern = re.sub(r"[?()]", r"\\\g<0>", message)
    with pytest.raises(InputError, match=f"^params.yaml: {pattern}$"):
        load_params()


# Lists of ten, each of the one before: 10**40 when written out.
BOMB = b"- &a0 [1]\n" + b"".join(
    b"- &a%d [%s]\n" % (n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 40)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file = None: expected keys with values"),
        (b"- 1\n", "the file = [1]: expected keys with values"),
        (b"train: 2020-13-45", "month must be in 1..12; expected YAML"),
        (b"train: {lr: 1", "row 1, column 14: "),
        (b"train: 1\ntrain: 2\n", 'row 2, column 1: found duplicate key "train"'),
        (b"\xff\xfe\x00", "not a text file; expected YAML"),
        (b"a: \x00", "not a text file; expected YAML"),
        (b"- " * 5000, "nested too deeply; expected the parameters"),
        (b"a: 1\n" * 80_000, "over 262144 bytes; expected the parameters"),
        (b"train: !!python/object/apply:os.getcwd []", "row 1, column 8: could not determine"),
        (b"data: 0x" + b"f" * 9999, "data = a number too long to write: expected keys"),
        (b"data: " + b"9" * 9999, "Exceeds the limit"),
        (b"a: !!bool x", "'x'; expected YAML"),
        (b"a: !!int ''", "string index out of range; expected YAML"),
        (b"a: !!float ''", "string index out of range; expected YAML"),
        (b"a: !!timestamp x", ""),
        (b"a: !!binary x", ""),
        (b"a: !!omap x", ""),
        (b"a: !!pairs x", ""),
        (b"a: !!set [x]", ""),
        (b"a: !!map x", ""),
        (b"a: !!null x", ""),
        (BOMB, "over 262144 values; expected YAML"),
        (b"a: &a [*a]", "over 262144 values; expected YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        load_params(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"params.yaml: no such file; expected the parameters"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("number", ["1e-3", "1E-3", "0.001", ".001", "1.0e-3"])
def test_numbers_are_read_as_dvc_reads_them(project: Path, number: str) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("lr: 0.1\n", f"lr: {number}\n"))
    assert load_params().train.lr == load_yaml("params.yaml")["train"]["lr"] == 0.001


def test_params_cannot_be_changed(project: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_params().train.lr = 1.0


def test_the_networks_of_an_ensemble_have_the_seed_and_those_after_it(project: Path) -> None:
    train = load_params().train
    members = train.model_copy(update={"seed": 7, "networks": 3}).members()
    assert [member.seed for member in members] == [7, 8, 9]
    for member in members:
        assert member.model_copy(update={"seed": train.seed}) == train


def test_params_can_be_read_with_changes(project: Path) -> None:
    plain = load_params()
    found = load_params(changes={"train.lr": 0.2, "train.augment.shift": 1.0})
    assert found.train.lr == 0.2
    assert found.train.augment == plain.train.augment.model_copy(update={"shift": 1.0})
    kept = {"lr": plain.train.lr, "augment": plain.train.augment}
    assert found.train.model_copy(update=kept) == plain.train
    assert load_params() == plain


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("train.rate", r"params.yaml: train.rate is not a parameter"),
        ("train.lr.x", r"params.yaml: train.lr = \{'x': 1\}: expected"),
        ("rate", r"params.yaml: rate is not a parameter"),
        ("", r"params.yaml: the file is not a parameter"),
    ],
)
def test_changes_of_what_is_no_param_are_refused(project: Path, key: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_params(changes={key: 1})


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_is_valid(path: Path) -> None:
    assert len(load_recipe(path).data.class_names) in (0, 10)


def test_the_notebooks_recipe_stays_the_notebooks() -> None:
    train = load_recipe(ROOT / "recipes" / "seed.yaml").train.model_dump(mode="json")
    assert train == {
        "rows": "train",
        "widths": [200, 200, 200],
        "batch_norm": False,
        "dropout": 0.0,
        "input_noise": 0.0,
        "hidden_noise": 0.0,
        "epochs": 5,
        "batch_size": 64,
        "lr": 0.01,
        "schedule": "constant",
        "warm_up": 0.2,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 0.001,
        "decayed": "all",
        "label_smoothing": 0.0,
        "averaging": 0.0,
        "seed": 0,
        "networks": 1,
        "augment": dict.fromkeys(["rotation", "scale", "shear", "shift", "elastic"], 0.0)
        | {"smoothness": 4.0},
    }
