import re
from pathlib import Path

import pytest

from digits.errors import InputError
from digits.params import ONE_CYCLE, load_params, load_recipe
from tests.sandbox import ROOT
from tools import recipe

RECIPES = [*sorted((ROOT / "recipes").glob("*.yaml")), ROOT / "tests" / "long" / "everything.yaml"]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with the committed params.yaml."""
    monkeypatch.chdir(tmp_path)
    path = Path("params.yaml")
    path.write_bytes((ROOT / path).read_bytes())
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_gives_its_params_and_keeps_comments_and_order(params: Path, path: Path) -> None:
    before = params.read_text()
    recipe.apply(path, params)
    assert load_params() == load_recipe(path)
    assert len(load_params().data.class_names) in (0, 10)
    comments = re.compile(r"^( *\w+:).*?(#.*)?$", re.MULTILINE)
    assert comments.findall(params.read_text()) == comments.findall(before)
    recipe.main("one_cycle")
    assert params.read_text() == before


def test_the_users_own_data_and_split_stay_unless_the_recipe_has_some(params: Path) -> None:
    own = {"data.train": "own.csv", "prepare.seed": 7, "download.seed": 8}
    text = params.read_text().replace("data/mnist/train.csv", "own.csv")
    text = re.sub(r"(prepare:\n.*\n.*\n  seed): 0", r"\1: 7", text)
    params.write_text(re.sub(r"(download:\n  seed): 0", r"\1: 8", text))
    recipe.main("fast")
    assert load_params() == load_recipe(ROOT / "recipes" / "fast.yaml", own)
    recipe.main("fashion")
    fashion = load_recipe(ROOT / "recipes" / "fashion.yaml")
    assert load_params().data == fashion.data
    expected = {"straighten": False, "validation": 10000, "seed": 7}
    assert load_params().prepare.model_dump() == expected
    assert load_params().train == fashion.train


def test_an_unknown_name_is_told_with_those_there_are(params: Path) -> None:
    with pytest.raises(InputError, match=r"^quick: no recipe; expected champion, ensemble, "):
        recipe.main("quick")


def test_params_are_at_first_those_that_recipes_are_laid_over(params: Path) -> None:
    assert load_params() == load_params(ONE_CYCLE) == load_recipe(ONE_CYCLE)
