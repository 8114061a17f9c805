"""The design of a study: which variants of which recipes, with how many seeds, on how many folds.

A study's file, such as studies/steps.yaml, holds

    variants:                     # at least one; each trained with every seed on every fold
      NAME:
        recipe: recipes/FILE.yaml
        set: {train.lr: 0.2}      # params other than the recipe's; may be left out
        seeds: 5                  # the recipe's, and those after it
    folds: 5                      # or 1: the validation rows that prepare chose
    test: false                   # whether the test images are looked at, once all is chosen

Of a recipe it is `prepare.straighten`, `train` and `predict` that count: the data, and which rows
are for validation, are those of params.yaml.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from digits.errors import InputError
from digits.params import Params, Section, check, load_recipe, load_yaml

RESULTS = Path("studies/results")
Name = Annotated[str, Field(pattern="^[A-Za-z0-9_-]+$")]
Key = Annotated[str, Field(pattern=r"^(train|predict)\.|^prepare\.straighten$")]


class Variant(Section):
    """A recipe, what is different from it, and how often it is trained."""

    recipe: Annotated[str, Field(min_length=1)]
    set: Annotated[dict[Key, Any], Field(default_factory=dict)]
    seeds: Annotated[int, Field(ge=1, le=1000)]


@dataclass(frozen=True, order=True)
class Trial:
    """A variant with one seed on one fold, both counted from 0.

    Seed 0 is the recipe's own, 1 the next one; of an ensemble, each is as many as it has networks.
    """

    variant: str
    seed: int
    fold: int

    def __str__(self) -> str:
        return f"variants.{self.variant}, seed {self.seed}, fold {self.fold}"


class Study(Section):
    """All of a study's file."""

    variants: Annotated[dict[Name, Variant], Field(min_length=1)]
    folds: Annotated[int, Field(ge=1, le=10)]  # of which studies.summary has quantiles
    test: bool

    def trials(self) -> Iterator[Trial]:
        """Yield every trial, the seeds and folds of a variant one after the other."""
        for name, variant in self.variants.items():
            for seed, fold in product(range(variant.seeds), range(self.folds)):
                yield Trial(name, seed, fold)

    def params(self) -> dict[str, Params]:
        """Return those of each variant; raise InputError where they cannot be used."""
        params = {}
        for name, variant in self.variants.items():
            try:
                params[name] = load_recipe(Path(variant.recipe), variant.set)
            except InputError as error:
                raise InputError(f"variants.{name}: {error}") from None
        return params


def load_study(path: Path) -> Study:
    """Read and check a study's file; `InputError` where it cannot be used."""
    return check(path, Study, load_yaml(path, "a study"))
