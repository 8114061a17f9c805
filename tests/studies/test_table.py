import csv
import json
import re
from pathlib import Path
from statistics import fmean, median

import pytest

from digits.errors import InputError
from digits.params import load_params
from studies.table import END, START, make_table, replace_table
from tests.sandbox import ROOT

RESULTS = ROOT / "studies" / "results"


def test_the_readme_shows_what_the_committed_study_found() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert replace_table(text, make_table(RESULTS)) == text


def test_a_row_holds_what_the_trials_of_its_recipe_came_to() -> None:
    with (RESULTS / "recipes.csv").open(newline="") as file:
        trials = [row for row in csv.DictReader(file) if row["variant"] == "fast"]
    [row] = [line for line in make_table(RESULTS).splitlines() if "`recipes/fast.yaml`" in line]
    _, _, validation, test, seconds, count, _ = (cell.strip() for cell in row.split("|"))
    right = fmean(1 - int(trial["errors"]) / int(trial["rows"]) for trial in trials)
    tested = fmean(1 - int(trial["test_errors"]) / int(trial["test_rows"]) for trial in trials)
    assert validation.split(" ± ")[0] == f"{right:.4f}"
    assert test.split(" (")[0] == f"{tested:.4f}"
    expected = median(float(t["seconds"]) for t in trials)
    assert float(seconds) == pytest.approx(expected, abs=0.05 if expected < 10 else 0.5)
    assert int(count) == len(trials) == 10


def test_every_recipe_says_what_it_came_to() -> None:
    summary = json.loads((RESULTS / "recipes.json").read_bytes())
    recipes = sorted((ROOT / "recipes").glob("*.yaml"))
    of_mnist = {path.stem for path in recipes if "mnist/" in load_params(path).data.train}
    assert summary.keys() <= of_mnist
    for name in of_mnist:
        comment = (ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8").split("\n\n")[0]
        if found := summary.get(name):
            assert f"Validation {found['accuracy']['mean']:.4f}" in comment
            assert f"test {found['test']['mean']:.4f}" in comment
        else:  # the study does not run it
            figures = r"Validation 0\.\d{4}.*test 0\.\d{4}.*commit [0-9a-f]{7}"
            assert re.search(figures, comment, re.DOTALL)


def test_a_text_without_a_place_for_the_table_is_refused() -> None:
    assert replace_table(f"a\n{START}old\n{END}b\n", "new\n") == f"a\n{START}\nnew\n\n{END}b\n"
    with pytest.raises(InputError, match="expected both"):
        replace_table(f"a\n{START}old\n", "new\n")


@pytest.mark.parametrize("content", ["", "[]", '{"fast": {}}'])
def test_results_that_are_no_study_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "recipes.json").write_text(content)
    (tmp_path / "recipes.csv").write_text("recipe,variant,seconds\nrecipes/fast.yaml,fast,1\n")
    with pytest.raises(InputError, match=r"expected what studies\.run writes"):
        make_table(tmp_path)
