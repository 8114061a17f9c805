"""The commands around the pipeline; what they need is imported by the one that runs."""

import sys
from argparse import ArgumentParser
from functools import partial
from importlib import import_module
from pathlib import Path

from digits.errors import InputError, run_command

REVISION = "a commit, a branch, a tag or an experiment of DVC"


def build_parser() -> ArgumentParser:
    """Return the parser of the command line; what it finds names a function and its arguments."""
    parser = ArgumentParser(prog="python -m tools", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="SUBCOMMAND")

    def add(function: str, purpose: str, example: str) -> ArgumentParser:
        shown = f"example: python -m tools {example}"
        name, *_ = example.split()
        one = commands.add_parser(name, help=purpose, description=purpose, epilog=shown)
        one.set_defaults(function=function)
        return one

    one = add(
        "compare", "which networks are better, or only luckier?", "compare v1.0 icy-mink HEAD"
    )
    several = f"the first is what the others are held against; each is {REVISION}, or workspace"
    one.add_argument("revisions", nargs="*", help=f"{several}; by default HEAD and workspace")
    one.add_argument("--format", dest="form", choices=["text", "markdown", "csv"], default="text")

    one = add("verify", "build a commit anew, and compare every output", "verify HEAD~1")
    one.add_argument("revision", nargs="?", help="by default the last commit, if it has all")

    diff = "how metrics and training differ from those of a revision"
    plots = "draw the plots beside those of a revision, in .plots"
    for name, purpose in (("diff", diff), ("plots", plots)):
        one = add(f"difference.{name}", purpose, f"{name} exp-abcde")
        one.add_argument("revision", nargs="?", default="HEAD", help=REVISION)

    one = add("mutation", "how many faults do the tests catch?", "mutation HEAD~1 --most 100")
    one.add_argument("revision", nargs="?", help=f"of modules that differ: {REVISION}")
    one.add_argument("--most", type=int, default=400, help="how many faults are tried, about")

    add("recovery", "put right what a killed run has left, before the next", "recover")
    add("doctor", "what this machine has, and what it lacks", "doctor")

    one = add(
        "kaggle", "fetch Kaggle's files; check and send a submission", "kaggle submit --message=A"
    )
    one.add_argument("action", choices=["fetch", "submit"])
    one.add_argument("--message", default="", help="what the submission is")

    one = add("idx", "IDX files, gzipped or not, as CSV", "idx images.gz labels.gz train.csv")
    one.add_argument("images", type=Path)
    one.add_argument("labels", type=Path, nargs="?")
    one.add_argument("table", type=Path, metavar="csv")

    one = add("recipe", "write the values of a recipe into params.yaml", "recipe champion")
    one.add_argument("name", help="of a file in recipes/")

    one = add("tutorial", "run docs/tutorial.md, and write what it shows anew", "tutorial")
    one.add_argument("--here", action="store_true", help="in this folder, not in a copy of it")
    add("browser", "photograph the report", "screenshots")
    return parser


def run(function: str, **arguments: object) -> None:
    """Call a function of this package, such as "difference.plots", or the `main` of a module."""
    module, _, name = function.partition(".")
    try:
        imported = import_module(f"tools.{module}")
    except ModuleNotFoundError as error:
        expected = "expected what make setup installs, with EXTRA=browser for screenshots"
        raise InputError(f"{error.name}: not installed; {expected}") from None
    getattr(imported, name or "main")(**arguments)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036
        sys.exit(f"error: this is Python {sys.version.split()[0]}; expected 3.11 or newer")
    run_command(partial(run, **vars(build_parser().parse_args())))
