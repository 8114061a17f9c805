import csv
import json
import re
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest

from digits.params import load_recipe
from studies import table
from studies.design import RESULTS
from tests.sandbox import ROOT


def test_the_page_shows_what_the_committed_study_found_and_nothing_else_of_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / table.PAGE).read_text(encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(text.replace("| `recipes/fast.yaml` |", "old"), encoding="utf-8")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(table, "PAGE", page)
    table.main()
    assert page.read_text(encoding="utf-8") == text


def test_a_row_holds_what_the_trials_of_its_recipe_came_to() -> None:
    with (ROOT / RESULTS / "recipes.csv").open(newline="") as file:
        trials = [row for row in csv.DictReader(file) if row["variant"] == "fast"]
    made = table.make_table(ROOT / RESULTS.parent)
    [row] = [line for line in made.splitlines() if "`recipes/fast.yaml`" in line]
    _, _, validation, test, seconds, count, _ = (cell.strip() for cell in row.split("|"))
    right = fmean(1 - int(trial["errors"]) / int(trial["rows"]) for trial in trials)
    tested = fmean(1 - int(trial["test_errors"]) / int(trial["test_rows"]) for trial in trials)
    assert validation.split(" ± ")[0] == f"{right:.4f}"
    assert test.split(" (")[0] == f"{tested:.4f}"
    assert seconds == f"{median(float(trial['seconds']) for trial in trials):.1f}"
    assert int(count) == len(trials) == 10


def test_every_recipe_says_what_it_came_to() -> None:
    summary: dict[str, Any] = {}
    for study in table.STUDIES:
        summary |= json.loads((ROOT / RESULTS / f"{study}.json").read_bytes())
    recipes = {path.stem: path for path in (ROOT / "recipes").glob("*.yaml")}
    assert recipes.keys() - summary.keys() == {"fashion"}  # the studies are of MNIST
    assert "fashion/" in load_recipe(recipes["fashion"]).data.train
    for name, path in recipes.items():
        comment = path.read_text(encoding="utf-8").split("\n\n")[0]
        if name in summary:
            for kind in {"accuracy", "test"} & summary[name].keys():
                said = "test" if kind == "test" else "Validation"
                assert f"{said} {summary[name][kind]['mean']:.4f}".lower() in comment.lower()
        else:
            assert re.search(r"Validation 0\.\d{4}, test 0\.\d{4}, .* commit [0-9a-f]{7}", comment)
