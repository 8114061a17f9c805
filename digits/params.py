"""The parameters, read once from params.yaml into frozen, typed objects, one per section."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import ErrorDetails

from digits.errors import InputError, expecting, one_line, shorten

PARAMS = Path("params.yaml")
ONE_CYCLE = Path(__file__).parents[1] / "recipes/one_cycle.yaml"  # recipes are laid over it
NAME = 60  # characters of a class's name, at most
# Plain scalars as DVC reads them: by YAML 1.2, where 1e-3 is a number and `no` is a word.
_SCALARS = {
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "float": r"[-+]?([0-9][0-9_]*(\.[0-9_]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)"
    r"|\.[0-9_]+([eE][-+][0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
    "int": "(?!_)[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9_]+)",
    "timestamp": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "merge": "<<",
}
_TAG = "tag:yaml.org,2002:"
# Also raised: of a date that the calendar does not have, and of a tag whose value is not its own.
_NO_YAML = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)

Width = Annotated[int, Field(ge=1, le=65536)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Kind = TypeVar("Kind", bound=BaseModel)


def _rows_or_fraction(value: object) -> int | float:
    if (type(value) is int and value >= 1) or (type(value) is float and 0 < value < 1):
        return value
    raise ValueError("expected a number of rows, or a fraction between 0 and 1")


def check_names(names: Sequence[str]) -> Sequence[str]:
    """Return names, or labels, that can stand for classes wherever they are told, or ValueError."""
    if len(set(names)) != len(names):
        raise ValueError("expected names that differ from each other")
    for name in names:
        if not 1 <= len(name) <= NAME or not name.isprintable() or name != name.strip():
            expected = f"1 to {NAME} characters that can be printed, without blanks around them"
            raise ValueError(f"{shorten(name)}: expected {expected}")
    return names


# Not strict: YAML has lists, and a tuple stays as it was read.
Names = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(check_names)]


class Section(BaseModel):
    """A section of params.yaml: every key required, no other allowed, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Data(Section):
    """Which images: CSV files, and the names of their classes, if these are not their labels."""

    train: Annotated[str, Field(min_length=1)]
    test: Annotated[str, Field(min_length=1)]
    class_names: Names


class Download(Section):
    """The shuffle that deals MNIST's 70,000 images into train.csv and test.csv."""

    seed: Seed


class Prepare(Section):
    """Whether slant is taken out, and the split: how many validation rows, or which fraction."""

    straighten: bool
    validation: Annotated[int | float, PlainValidator(_rows_or_fraction)]
    seed: Seed


class Affine(Section):
    """How far the places are moved that an image takes its pixels from."""

    rotation: Annotated[float, Field(ge=0, le=180)]
    scale: Annotated[float, Field(ge=0, lt=1)]
    shear: Annotated[float, Field(ge=0, le=1)]
    shift: Annotated[float, Field(ge=0, le=1000)]


class Augment(Affine):
    """How far, at most, those of a training image are moved, and with which elastic field."""

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
    widths: Annotated[tuple[Width, ...], Field(strict=False, max_length=64)]
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

    def members(self) -> list["Train"]:
        """Return the params of each network alone: the first has the seed, the others the next."""
        seeds = range(self.seed, self.seed + self.networks)
        return [self.model_copy(update={"seed": seed, "networks": 1}) for seed in seeds]


class Predict(Affine):
    """How far an image is moved, both ways by each of these, for answers that are averaged."""


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

    @property
    def network(self) -> tuple[bool, Train, Predict]:
        """What decides, besides the data, how images are answered."""
        return self.prepare.straighten, self.train, self.predict


def load_params(path: Path = PARAMS, changes: Mapping[str, object] | None = None) -> Params:
    """Read and check every parameter in `path`, with `changes` by key, such as {"train.lr": 0.2}.

    `InputError` where the file cannot be read, or a key is missing, unknown, repeated or unusable.
    """
    return check(path, Params, overlay(load_yaml(path, "the parameters"), changes or {}))


def load_recipe(path: Path, changes: Mapping[str, object] | None = None) -> Params:
    """Read a recipe, laid over recipes/one_cycle.yaml, with `changes` over both."""
    values = overlay(load_yaml(ONE_CYCLE, "the parameters"), load_yaml(path, "a recipe"))
    return check(path, Params, overlay(values, changes or {}))


def name_recipe(params: Params) -> str:
    """Return the name of the recipe whose network params make, "own" where there is none."""
    paths = sorted(ONE_CYCLE.parent.glob("*.yaml"))
    alike = (path.stem for path in paths if load_recipe(path).network == params.network)
    return next(alike, "own")


def overlay(below: object, above: object) -> Any:  # noqa: ANN401
    """Return values of YAML with others over them, by section, or by key, such as train.lr."""
    if not isinstance(above, Mapping):
        return above
    for key, value in above.items():
        name, _, rest = str(key).partition(".")
        inside = below if isinstance(below, Mapping) else {}
        below = {**inside, name: overlay(inside.get(name), {rest: value} if rest else value)}
    return below


def check(path: Path, kind: type[Kind], content: object) -> Kind:
    """Return a file's content as a model; `InputError` names the first key that does not fit."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    # A misspelt key is a stranger, and another that is missing: one fault, and told first.
    first = min(faults, key=lambda fault: fault["type"] != "extra_forbidden")
    missing = [_name(fault) for fault in faults if fault["type"] == "missing"]
    is_stranger = first["type"] == "extra_forbidden"
    meant = get_close_matches(_name(first), missing, n=1) if is_stranger else []
    hint = f"; did you mean {meant[0]}?" if meant else ""
    raise InputError(f"{path}: {_explain(first)}{hint}")


def _name(fault: ErrorDetails) -> str:
    return ".".join(map(str, fault["loc"])) or "the file"


def _explain(fault: ErrorDetails) -> str:
    if said := {"missing": "missing", "extra_forbidden": "not a parameter"}.get(fault["type"]):
        return f"{_name(fault)} is {said}"
    names = {"model_type": "expected keys with values", "tuple_type": "expected a list"}
    reason = names.get(fault["type"], fault["msg"]).removeprefix("Value error, ")
    reason = re.sub("Input should be|String should have", "expected", reason)
    return f"{_name(fault)} = {shorten(fault['input'])}: {reason}"


class _Loader(yaml.CSafeLoader):
    """A loader of YAML that takes plain scalars for what DVC takes them for."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        None: [(f"{_TAG}{kind}", re.compile(rf"({form})\Z")) for kind, form in _SCALARS.items()]
    }

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Return a number, which is decimal even if it begins with 0."""
        digits = node.value.replace("_", "")
        return int(digits, 0 if digits.lstrip("+-")[:2] in ("0b", "0o", "0x") else 10)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping, which has no key twice."""
        for place, (key, _) in enumerate(node.value):
            if key.value in [other.value for other, _ in node.value[:place]]:
                problem = f"found duplicate key {key.value!r}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_constructor(f"{_TAG}int", _Loader.construct_yaml_int)


class _Dumper(yaml.SafeDumper):
    """A dumper of YAML that quotes text that the loader would take for something else."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def load_yaml(path: Path, expected: str, name: str = "") -> Any:  # noqa: ANN401
    """Return what a file of YAML 1.2 holds, as DVC reads it; `InputError` calls the file `name`."""
    named = Path(name or path)
    with expecting(named, expected, UnicodeDecodeError):
        text = path.read_text(encoding="utf-8")
    try:
        return yaml.load(text, _Loader)
    except _NO_YAML as error:
        mark = getattr(error, "problem_mark", None)
        where = f"row {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = getattr(error, "problem", None) or one_line(error)
        raise InputError(f"{named}: {where}{reason}; expected YAML") from None


def as_yaml(values: Mapping[str, object]) -> str:
    """Return values as YAML, in one style."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield all that lies in a value of YAML or JSON, under its whole name, such as a.b.c."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(f"{name}.{key}" if name else str(key), inner)
    else:
        yield name, value
