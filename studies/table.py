"""table: what each recipe comes to, as the README shows it.

    python -m studies.table

Reads what `python -m studies.run studies/recipes.yaml` wrote to studies/results; puts the table in
its place in README.md, and prints it.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from digits.data.csv_files import read_table
from digits.errors import InputError, expecting, run_command
from digits.files import replacing
from studies.design import RESULTS

STUDY = "recipes"
WRITTEN = "what studies.run writes of trials that went well"
COLUMNS = {"recipe": str, "variant": str, "seconds": float}
README = Path("README.md")
START, END = "<!-- what studies.table writes -->\n", "<!-- until here -->\n"
HEADER = [
    "| recipe | validation accuracy | test accuracy (95 % interval) | seconds of fit | n |",
    "|---|---|---|---|---|",
]


def make_table(results: Path) -> str:
    """Return the table of the study whose summary and rows lie in `results`.

    Raises:
        InputError: they are missing, or not those of a study that looked at the test images.
    """
    summary, rows = results / f"{STUDY}.json", results / f"{STUDY}.csv"
    damaged = (ValueError, LookupError, TypeError, AttributeError)
    with expecting(results / STUDY, WRITTEN, *damaged):
        trials = read_table(rows, COLUMNS, WRITTEN, least=0)
        variants = json.loads(summary.read_bytes()).items()
        lines = [_describe(found, trials[trials["variant"] == name]) for name, found in variants]
    return "\n".join([*HEADER, *lines]) + "\n"


def _describe(found: dict[str, Any], trials: pd.DataFrame) -> str:
    """Return the row of a recipe, from its summary and its trials."""
    accuracy, test = found["accuracy"], found["test"]
    seconds = trials["seconds"].median()
    spread = "" if accuracy["deviation"] is None else f" ± {accuracy['deviation']:.4f}"
    cells = [
        f"`{trials['recipe'].iloc[0]}`",
        f"{accuracy['mean']:.4f}{spread}",
        f"{test['mean']:.4f} ({test['low']:.4f} to {test['high']:.4f})",
        f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}",
        str(found["trials"]),
    ]
    return f"| {' | '.join(cells)} |"


def replace_table(text: str, table: str) -> str:
    """Return a text with the table in its place.

    Raises:
        InputError: the text has no such place.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise InputError(f"{README}: no {START.strip()} and {END.strip()}; expected both")
    return before + start + "\n" + table + "\n" + end + after


def main() -> None:
    """Write the table."""
    table = make_table(RESULTS)
    text = replace_table(README.read_text(encoding="utf-8"), table)
    with replacing(README) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(table, end="")


if __name__ == "__main__":
    run_command(main)
