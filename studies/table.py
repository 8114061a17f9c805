"""table: what each recipe comes to, as docs/results.md shows it.

    python -m studies.table

Puts what `studies.run` found of recipes.yaml and large.yaml into its place there, and prints it.
"""

import json
import re
from pathlib import Path
from typing import Any

from digits.data.csv_files import read_table
from digits.errors import run_command
from studies.design import RESULTS, load_study

COLUMNS = {"variant": str, "seconds": float}
STUDIES = ("recipes", "large")
PAGE = Path("docs/results.md")
PLACE = re.compile("(?s)(?<=<!-- what studies.table writes -->\n).*?(?=<!-- until here -->\n)")
HEADER = """\
| recipe | validation accuracy | test accuracy (95 % interval) | seconds of fit | n |
|---|---|---|---|---|
"""


def make_table(folder: Path) -> str:
    """Return the table of the studies of the recipes in a folder."""
    lines = [HEADER]
    for name in STUDIES:
        results = folder / "results" / f"{name}.csv"
        trials = read_table(results, COLUMNS, "what studies.run writes")
        seconds = trials.groupby("variant")["seconds"].median()
        summary = json.loads(results.with_suffix(".json").read_bytes())
        for key, variant in load_study(folder / f"{name}.yaml").variants.items():
            changes = "".join(f", `{param}: {value}`" for param, value in variant.set.items())
            cells = _describe(summary[key], seconds[key])
            lines.append(f"| `{variant.recipe}`{changes} | {cells} |\n")
    return "".join(lines)


def _describe(found: dict[str, Any], seconds: float) -> str:
    test, told = found["test"], "trained on"
    if accuracy := found.get("accuracy"):
        told = f"{accuracy['mean']:.4f}"
        told += "" if accuracy["deviation"] is None else f" ± {accuracy['deviation']:.4f}"
    interval = f"({test['low']:.4f} to {test['high']:.4f})"
    rounded = f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"
    return f"{told} | {test['mean']:.4f} {interval} | {rounded} | {found['trials']}"


def main() -> None:
    """Write the table."""
    table = make_table(RESULTS.parent)
    PAGE.write_text(PLACE.sub(f"\n{table}\n", PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(table, end="")


if __name__ == "__main__":
    run_command(main)
