"""Benchmarks: this pipeline beside others, on more and more rows, or in several workers.

    python -m benchmarks --runs 5
    python -m benchmarks scale --runs 1 --factors 10 50 --last train
    python -m benchmarks workers --runs 3

All read data/ as `dvc repro` left it. The first writes benchmarks/results.md and results.png; the
second scale.csv and scale.md, in which what it does not measure stays as it was; the third
docs/scale.md.
"""

from argparse import ArgumentParser
from pathlib import Path

from benchmarks import measure, scale, show, workers
from digits.errors import run_command


def main() -> None:
    """Measure, and write the results."""
    parser = ArgumentParser(prog="python -m benchmarks", description="Measure the pipeline.")
    parser.add_argument(
        "what", nargs="?", choices=["compare", "scale", "workers"], default="compare"
    )
    parser.add_argument("--runs", type=int, default=5, help="of everything, in turns")
    parser.add_argument("--peers", type=Path, default=".peers", help="the peers' environment")
    parser.add_argument("--factors", type=int, nargs="+", choices=scale.FACTORS, help="of the rows")
    parser.add_argument("--last", choices=scale.SCALED, default="report", help="stage of scale")
    asked = parser.parse_args()
    if asked.runs < 1:
        parser.error(f"--runs {asked.runs}: expected at least 1")
    if asked.what == "scale":
        table = scale.measure(asked.runs, asked.factors or scale.FACTORS, asked.last)
        show.publish("scale", scale.report(scale.merge(table)))
    elif asked.what == "workers":
        show.publish("../docs/scale", workers.report(workers.measure(asked.runs)))
    else:
        table = measure.compare(asked.peers / "bin" / "python", asked.runs)
        show.draw(show.FOLDER / "results.png", table)
        show.publish("results", show.report(table))


if __name__ == "__main__":
    run_command(main)
