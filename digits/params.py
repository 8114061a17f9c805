"""The parameters, read once from params.yaml into frozen, typed objects, one per section."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

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
BYTES = 2**16  # of a params file, at most
CLASSES = 1000  # at most
NAME = 60  # characters of a class's name, at most

Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _rows_or_fraction(value: object) -> int | float:
    if type(value) is int and value >= 1:
        return value
    if type(value) is float and 0 < value < 1:
        return value
    raise ValueError("expected a number of rows, or a fraction between 0 and 1")


class Section(BaseModel):
    """A section of params.yaml: every key required, no other allowed, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


SectionT = TypeVar("SectionT", bound=Section)


class Data(Section):
    """Which images: CSV files in the form of Kaggle's Digit Recognizer, and their classes."""

    train: Annotated[str, Field(min_length=1)]
    test: Annotated[str, Field(min_length=1)]
    classes: Annotated[int, Field(ge=2, le=CLASSES)]
    # Not strict: YAML has lists, and a tuple stays as it was read.
    class_names: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=NAME)], ...], Field(strict=False)
    ]

    @field_validator("class_names")
    @classmethod
    def _check_names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        classes = info.data.get("classes", len(names))
        if names and len(names) != classes:
            raise ValueError(f"{len(names)} names; expected {classes}, or none")
        if len(set(names)) != len(names):
            raise ValueError("expected names that differ from each other")
        if not all(name.isprintable() and name == name.strip() for name in names):
            raise ValueError("expected names that can be printed, without blanks around them")
        return names

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each class, in their order; their numbers where they have no others."""
        return self.class_names or tuple(map(str, range(self.classes)))


class Download(Section):
    """The shuffle that deals MNIST's 70,000 images into train.csv and test.csv."""

    seed: Seed


class Prepare(Section):
    """The split: validation rows, as a count or as a fraction of all labelled rows."""

    validation: Annotated[int | float, PlainValidator(_rows_or_fraction)]
    seed: Seed


class Numerics(Section):
    """How arithmetic is done: `digits.numerics` says what each mode promises."""

    mode: Literal["portable", "machine"]
    threads: Annotated[int, Field(ge=1, le=1024)]


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
    """The rows that fit the network, its hidden layers, and how and where descent fits it."""

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
    device: Literal["cpu", "cuda", "auto"]
    precision: Literal["float32", "bfloat16"]

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
    numerics: Numerics
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


def load_section(
    path: Path, kind: type[SectionT], changes: Mapping[str, object] | None = None
) -> SectionT:
    """Read and check a whole file of one kind, as `load_params` does."""
    content = _load_yaml(path)
    for key, value in (changes or {}).items():
        content = _changed(content, key.split("."), value)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        more = f" (and {len(others)} more)" if others else ""
        raise InputError(f"{path}: {_explain(first)}{more}") from None


def _changed(content: object, keys: Sequence[str], value: object) -> object:
    """Return what YAML holds with another value, deep inside."""
    if not keys:
        return value
    inside = content if isinstance(content, dict) else {}
    return {**inside, keys[0]: _changed(inside.get(keys[0]), keys[1:], value)}


def _load_yaml(path: Path) -> object:
    try:
        with expecting(path, "the parameters"), path.open("rb") as file:
            content = file.read(BYTES + 1)
        if len(content) > BYTES:
            raise InputError(f"{path}: over {BYTES} bytes; expected the parameters")
        # DVC reads params.yaml by the same rules, so that 1e-3 is a number to both.
        return YAML(typ="safe", pure=True).load(content.decode("utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"row {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {where}{error.problem}; expected YAML") from None
    except (YAMLError, UnicodeDecodeError):
        raise InputError(f"{path}: not a text file; expected YAML") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; expected sections with keys") from None
    # Of a date that the calendar does not have, and of tags whose values are not theirs.
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: {one_line(error)}; expected YAML") from None


def _explain(error: ErrorDetails) -> str:
    key = ".".join(map(str, error["loc"])) or "the file"
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
