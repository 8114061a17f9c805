from pathlib import Path

import pytest

from digits.errors import InputError
from studies.design import Trial, load_study

STUDY = """\
variants:
  plain: {recipe: params.yaml, seeds: 2}
  fast: {recipe: params.yaml, set: {train.lr: 0.2, train.augment.shift: 1.0}, seeds: 1}
folds: 3
test: false
"""


@pytest.fixture
def path(project: Path) -> Path:
    path = project / "study.yaml"
    path.write_text(STUDY)
    return path


def test_every_variant_is_trained_with_every_seed_on_every_fold(path: Path) -> None:
    trials = list(load_study(path).trials())
    assert len(trials) == len(set(trials)) == (2 + 1) * 3
    assert trials[:4] == [*(Trial("plain", 0, fold) for fold in range(3)), Trial("plain", 1, 0)]


def test_a_variant_is_its_recipe_with_what_is_set(path: Path) -> None:
    plain, fast = (variant.load() for variant in load_study(path).variants.values())
    assert fast.train.lr == 0.2
    assert fast.train.augment.shift == 1
    assert plain.train.augment.shift == 0
    changes = {"lr": plain.train.lr, "augment": plain.train.augment}
    assert fast.train.model_copy(update=changes) == plain.train


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "seeds: 2",
            "seeds: 0",
            "study.yaml: variants.plain.seeds = 0: expected greater than or equal to 1",
        ),
        ("folds: 3", "", "study.yaml: folds is missing"),
        (
            "  fast:",
            "  größer:",
            "study.yaml: variants.größer.[key] = 'größer': String should match",
        ),
        ("folds: 3", "fold: 3", "study.yaml: fold is not a parameter; did you mean folds?"),
        ("set:", "sets:", "variants.fast.sets is not a parameter"),
        ("{recipe: params.yaml, ", "{", "study.yaml: variants.plain.recipe is missing"),
        ("params.yaml, set", "no.yaml, set", "no.yaml: no such file"),
        ("train.lr: 0.2", "train.rate: 0.2", "params.yaml: train.rate is not a parameter"),
        (
            "train.lr: 0.2",
            "train.lr.x: 0.2",
            "params.yaml: train.lr = {'x': 0.2}: expected a valid",
        ),
        ("train.lr: 0.2", "train.lr: fast", "params.yaml: train.lr = 'fast': expected a valid"),
    ],
)
def test_what_cannot_be_used_is_named(path: Path, old: str, new: str, message: str) -> None:
    path.write_text(STUDY.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        [variant.load() for variant in load_study(path).variants.values()]
    assert message in str(error.value)
