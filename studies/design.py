"""The design of a study: which variants of which recipes, with how many seeds, on how many folds.

A study's file, such as studies/fast.yaml, holds

    variants:                     # at least one; each trained with every seed on every fold
      NAME:
        recipe: recipes/FILE.yaml
        set: {train.lr: 0.2}      # params other than the recipe's; may be left out
        seeds: 5                  # the recipe's, and those after it
    folds: 5                      # or 1: the validation rows that prepare chose
    test: false                   # whether the test images are looked at, once all is chosen
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from digits.params import Params, Section, load_params, load_section

PIPELINE, RESULTS = Path("studies/dvc.yaml"), Path("studies/results")

Name = Annotated[str, Field(pattern="^[A-Za-z0-9_-]+$")]


class Variant(Section):
    """A recipe, what is different from it, and how often it is trained."""

    recipe: Annotated[str, Field(min_length=1)]
    set: Annotated[dict[str, Any], Field(default_factory=dict)]
    seeds: Annotated[int, Field(ge=1, le=1000)]

    def load(self) -> Params:
        """Read the recipe, with what is different.

        Raises:
            InputError: a param cannot be used.
        """
        return load_params(Path(self.recipe), self.set)


@dataclass(frozen=True, order=True)
class Trial:
    """What a variant comes to with one seed on one fold.

    Attributes:
        variant: its name.
        seed: counted from 0, which stands for the recipe's own seed, 1 for the next one; of an
            ensemble, 0 for as many as it has networks, 1 for the next so many.
        fold: the one held out, from 0; with one fold, the validation rows that prepare chose.
    """

    variant: str
    seed: int
    fold: int


class Study(Section):
    """All of a study's file."""

    variants: Annotated[dict[Name, Variant], Field(min_length=1)]
    folds: Annotated[int, Field(ge=1, le=100)]
    test: bool

    def trials(self) -> Iterator[Trial]:
        """Yield every trial, the seeds and folds of a variant one after the other."""
        for name, variant in self.variants.items():
            for seed, fold in product(range(variant.seeds), range(self.folds)):
                yield Trial(name, seed, fold)


def load_study(path: Path) -> Study:
    """Read a study's file.

    Raises:
        InputError: it is missing or no YAML, or a key is missing, unknown or out of range.
    """
    return load_section(path, Study)
