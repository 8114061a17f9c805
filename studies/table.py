"""table: what each recipe comes to, as docs/results.md shows it.

    python -m studies.table

Reads what `python -m studies.run studies/recipes.yaml` wrote to studies/results; puts the table in
its place in docs/results.md, and prints it.
"""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from digits.data.csv_files import read_table
from digits.errors import run_command
from studies.design import RESULTS

COLUMNS = {"recipe": str, "variant": str, "seconds": float}
PAGE = Path("docs/results.md")
PLACE = re.compile("(?s)(?<=<!-- what studies.table writes -->\n).*?(?=<!-- until here -->\n)")
HEADER = """\
| recipe | validation accuracy | test accuracy (95 % interval) | seconds of fit | n |
|---|---|---|---|---|
"""


def make_table(results: Path) -> str:
    """Return the table of the study of the recipes, whose results lie in a folder."""
    trials = read_table(results / "recipes.csv", COLUMNS, "what studies.run writes")
    summary = json.loads((results / "recipes.json").read_bytes())
    groups = trials.groupby("variant", sort=False)
    return HEADER + "".join(_describe(summary[name], found) for name, found in groups)


def _describe(found: dict[str, Any], trials: pd.DataFrame) -> str:
    accuracy, test = found["accuracy"], found["test"]
    seconds = trials["seconds"].median()
    spread = "" if accuracy["deviation"] is None else f" ± {accuracy['deviation']:.4f}"
    told = f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"
    return (
        f"| `{trials['recipe'].iloc[0]}` | {accuracy['mean']:.4f}{spread} "
        f"| {test['mean']:.4f} ({test['low']:.4f} to {test['high']:.4f}) "
        f"| {told} | {found['trials']} |\n"
    )


def main() -> None:
    """Write the table."""
    table = make_table(RESULTS)
    PAGE.write_text(PLACE.sub(f"\n{table}\n", PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(table, end="")


if __name__ == "__main__":
    run_command(main)
