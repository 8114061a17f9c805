"""recipe: write a recipe's values into params.yaml, as `python -m tools recipe NAME` does."""

from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from dvc.utils.serialize import modify_yaml

from digits.errors import InputError
from digits.params import ONE_CYCLE, PARAMS, leaves, load_params, load_recipe, load_yaml

# The user's, unless the recipe itself has them.
OWN = ("data.", "download.", "prepare.validation", "prepare.seed")


def apply(recipe: Path, params: Path) -> None:
    """Write a recipe's values into a file of params, whose order and comments stay."""
    load_params(params)
    values = load_recipe(recipe).model_dump(mode="json")
    said = dict(leaves("", load_yaml(recipe, "a recipe")))
    with modify_yaml(params) as content:
        for key, value in leaves("", values):
            if key in said or not key.startswith(OWN):
                _set(content, key, value)


def _set(content: Any, key: str, value: object) -> None:  # noqa: ANN401  (a map of ruamel's)
    *sections, name = key.split(".")
    section = reduce(getitem, sections, content)
    section[name] = value
    if name in section.ca.items:
        section.ca.items[name][3] = None  # else ruamel breaks the file where a list gets empty


def main(name: str) -> None:
    """Write the values of the recipe of that name into params.yaml; InputError if there is none."""
    recipes = {path.stem: path for path in sorted(ONE_CYCLE.parent.glob("*.yaml"))}
    if name not in recipes:
        raise InputError(f"{name}: no recipe; expected {', '.join(recipes)}")
    apply(recipes[name], PARAMS)
