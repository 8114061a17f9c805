"""The parameters, read once from params.yaml into frozen, typed objects, one per section."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from digits.errors import InputError, expecting, one_line, shorten

PARAMS = Path("params.yaml")
ONE_CYCLE = (
    Path(__file__).parent.parent / "recipes" / "one_cycle.yaml"
)  # what recipes are laid over
BYTES = 2**18  # of a file of YAML, at most, and values in it
NAME = 60  # characters of a class's name, at most
# What params.yaml once had, and what became of it.
_GONE = {
    "data.classes": "the classes are those that the labels name",
    "numerics": "any machine and number of threads gives the same bytes",
    "train.device": "a GPU where there is one, unless the environment has DIGITS_DEVICE=cpu",
    "train.precision": "products are exact",
}

Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _rows_or_fraction(value: object) -> int | float:
    if type(value) is int and value >= 1:
        return value
    if type(value) is float and 0 < value < 1:
        return value
    raise ValueError("expected a number of rows, or a fraction between 0 and 1")


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError unless names, or labels, can stand for classes wherever these are told."""
    if len(set(names)) != len(names):
        raise ValueError("expected names that differ from each other")
    for name in names:
        if not 1 <= len(name) <= NAME:
            raise ValueError(f"{shorten(name)}: expected 1 to {NAME} characters")
        if not name.isprintable() or name != name.strip():
            raise ValueError(
                f"{shorten(name)}: expected a name that can be printed, without blanks around it"
            )
        # DVC puts them as they are into a script of its page of plots, which these could end.
        if re.search("<[/!A-Za-z]", name):
            raise ValueError(f"{shorten(name)}: expected no '<' before a letter, a '/' or a '!'")


class Section(BaseModel):
    """A section of params.yaml: every key required, no other allowed, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Kind = TypeVar("Kind", bound=BaseModel)


class Data(Section):
    """Which images: CSV files, and the names of their classes, if these are not their labels."""

    train: Annotated[str, Field(min_length=1)]
    test: Annotated[str, Field(min_length=1)]
    # Not strict: YAML has lists, and a tuple stays as it was read.
    class_names: Annotated[tuple[str, ...], Field(strict=False)]

    @field_validator("class_names")
    @classmethod
    def _check_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        check_names(names)
        return names


class Download(Section):
    """The shuffle that deals MNIST's 70,000 images into train.csv and test.csv."""

    seed: Seed


class Prepare(Section):
    """The split: validation rows, as a count or as a fraction of all labelled rows."""

    validation: Annotated[int | float, PlainValidator(_rows_or_fraction)]
    seed: Seed


class Augment(Section):
    """How far, at most, the places are moved that a training image takes its pixels from."""

    rotation: Annotated[float, Field(ge=0, le=180)]
    scale: Annotated[float, Field(ge=0, lt=1)]
    shear: Annotated[float, Field(ge=0, le=1)]
    shift: Annotated[float, Field(ge=0, le=1000)]
    elastic: Annotated[float, Field(ge=0, le=1000)]
    smoothness: Annotated[float, Field(gt=0, le=1000)]

    @property
    def distorts(self) -> bool:
        """Whether any image is distorted."""
        return any((self.rotation, self.scale, self.shear, self.shift, self.elastic))


class Train(Section):
    """The rows that fit the network, its hidden layers, and how descent fits it."""

    rows: Literal["train", "all"]
    # Not strict, as the names of the classes.
    widths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65536)], ...], Field(strict=False, max_length=64)
    ]
    batch_norm: bool
    dropout: Annotated[float, Field(ge=0, lt=1)]
    input_noise: Annotated[float, Field(ge=0, le=100)]
    hidden_noise: Annotated[float, Field(ge=0, le=100)]
    epochs: Annotated[int, Field(ge=1, lt=2**31)]
    batch_size: Annotated[int, Field(ge=1, lt=2**31)]
    lr: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle", "cosine"]
    warm_up: Annotated[float, Field(ge=0, le=0.9)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    nesterov: bool
    weight_decay: Annotated[float, Field(ge=0)]
    decayed: Literal["all", "weights"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    averaging: Annotated[float, Field(ge=0, lt=1)]
    augment: Augment
    seed: Seed
    networks: Annotated[int, Field(ge=1, le=1000)]

    @field_validator("nesterov")
    @classmethod
    def _check_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        if nesterov and info.data.get("momentum") == 0:
            raise ValueError("expected false with momentum = 0: there is none to look ahead along")
        return nesterov

    def members(self) -> list["Train"]:
        """Return the params of each network alone: the first has the seed, the others the next."""
        seeds = range(self.seed, self.seed + self.networks)
        return [self.model_copy(update={"seed": seed, "networks": 1}) for seed in seeds]


class Predict(Section):
    """How far, at most, an image is shifted along each axis, to average the answers."""

    shift: Annotated[int, Field(ge=0, le=10)]


class Evaluate(Section):
    """How many images a gallery of predictions shows."""

    gallery: Annotated[int, Field(ge=1, le=400)]


class Params(Section):
    """All of params.yaml."""

    data: Data
    download: Download
    prepare: Prepare
    train: Train
    predict: Predict
    evaluate: Evaluate


def load_params(path: Path = PARAMS, changes: Mapping[str, object] | None = None) -> Params:
    """Read and check every parameter in `path`.

    Args:
        path: a params file.
        changes: other values, by key, such as {"train.lr": 0.2}.

    Raises:
        InputError: the file is missing or no YAML, or a key is missing, unknown, repeated, of
            another type or out of range.
    """
    return load_section(path, Params, changes)


def load_recipe(path: Path, changes: Mapping[str, object] | None = None) -> Params:
    """Read a recipe: its values are laid over those of recipes/one_cycle.yaml, `changes` over both.

    Raises:
        InputError: as of `load_params`; the message names `path`.
    """
    content = load_yaml(ONE_CYCLE, "the parameters")
    values = dict(leaves("", load_yaml(path, "a recipe"))) | dict(changes or {})
    for key, value in values.items():
        content = _changed(content, key.split("."), value)
    return check(path, Params, content)


def load_section(path: Path, kind: type[Kind], changes: Mapping[str, object] | None = None) -> Kind:
    """Read and check a whole file of one kind, as `load_params` does."""
    content = load_yaml(path, "the parameters")
    for key, value in (changes or {}).items():
        content = _changed(content, key.split("."), value)
    return check(path, kind, content)


def check(path: Path, kind: type[Kind], content: object) -> Kind:
    """Return a file's content as a model of its kind.

    Raises:
        InputError: it is of another kind; the message names the first key that is.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        keys = [_name(fault["loc"]) for fault in faults]
        if gone := [f"{key} ({_GONE[key]})" for key in keys if key in _GONE]:
            raise InputError(
                f"{path}: {', '.join(gone)}: no longer known; expected to be left out"
            ) from None
        # A misspelt key is a stranger, and another that is missing: one fault, and told first.
        first, *others = sorted(faults, key=lambda fault: fault["type"] != "extra_forbidden")
        meant = _nearest(first, kind)
        others = [fault for fault in others if fault["loc"] != meant]
        hint = f"; did you mean {_name(meant)}?" if meant else ""
        more = f" (and {len(others)} more)" if others else ""
        raise InputError(f"{path}: {_explain(first)}{hint}{more}") from None


def _nearest(fault: ErrorDetails, kind: Any) -> tuple[int | str, ...]:  # noqa: ANN401
    """Return where the key is that a stranger in a file of that kind stands for, if one is near."""
    if fault["type"] != "extra_forbidden":
        return ()
    *sections, stranger = fault["loc"]
    for key in sections:
        fields = getattr(kind, "model_fields", {})
        kind = fields[key].annotation if key in fields else get_args(kind)[-1]
    near = get_close_matches(str(stranger), kind.model_fields, n=1)
    return (*sections, *near) if near else ()


def as_yaml(values: Mapping[str, object]) -> str:
    """Return values as YAML, in one style."""
    text = StringIO()
    YAML().dump(values, text)
    return text.getvalue()


def _changed(content: object, keys: Sequence[str], value: object) -> object:
    """Return what YAML holds with another value, deep inside."""
    if not keys:
        return value
    inside = content if isinstance(content, dict) else {}
    return {**inside, keys[0]: _changed(inside.get(keys[0]), keys[1:], value)}


def load_yaml(path: Path, expected: str, name: str = "") -> Any:  # noqa: ANN401
    """Return what a file of YAML 1.2 holds, by the rules that DVC reads by: 1e-3 is a number.

    Args:
        path: the file.
        expected: what it should be, for messages.
        name: what it is called there, if not by its path.

    Raises:
        InputError: it cannot be read, is no YAML, or is larger than such a file can be.
    """
    named = Path(name or path)
    try:
        with expecting(named, expected), path.open("rb") as file:
            content = file.read(BYTES + 1)
        if len(content) > BYTES:
            raise InputError(f"{named}: over {BYTES} bytes; expected {expected}")
        loaded = YAML(typ="safe", pure=True).load(content.decode("utf-8"))
        _check_values(loaded)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"row {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{named}: {where}{error.problem}; expected YAML") from None
    except (YAMLError, UnicodeDecodeError):
        raise InputError(f"{named}: not a text file; expected YAML") from None
    except RecursionError:
        raise InputError(f"{named}: nested too deeply; expected {expected}") from None
    # Of a date that the calendar does not have, and of tags whose values are not theirs.
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{named}: {one_line(error)}; expected YAML") from None
    else:
        return loaded


def _check_values(loaded: object) -> None:
    """Raise ValueError where aliases make more of a file than it holds, up to endlessly."""
    left, inside = BYTES, [loaded]
    while inside:
        one = inside.pop()
        left -= 1
        if left < 0:
            raise ValueError(f"over {BYTES} values")
        if isinstance(one, dict):
            inside.extend(chain.from_iterable(one.items()))
        elif isinstance(one, list | tuple | set):
            inside.extend(one)


def leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield all that lies in a value of YAML or JSON, under its whole name, such as a.b.c."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(f"{name}.{key}" if name else str(key), inner)
    else:
        yield name, value


def _name(place: Sequence[int | str]) -> str:
    return ".".join(map(str, place))


def _explain(error: ErrorDetails) -> str:
    key = _name(error["loc"]) or "the file"
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "extra_forbidden":
        return f"{key} is not a parameter"
    names = {"model_type": "expected keys with values", "tuple_type": "expected a list"}
    reason = names.get(error["type"], error["msg"])
    reason = reason.removeprefix("Value error, ")
    for words in ("Input should be", "String should have"):
        reason = reason.replace(words, "expected")
    return f"{key} = {shorten(error['input'])}: {reason}"
