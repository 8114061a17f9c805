"""One stage, by its name, in a process of its own.

    python -m stages train

The process is made ready before the stage is imported, so that its end and its folder are settled
from the start.
"""

import gc
from argparse import ArgumentParser
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter

from digits.process import run_stage


def import_and_run(name: str) -> None:
    """Import a stage, run it, and say in a line what it did and how long it took."""
    start = perf_counter()
    # Imports make no garbage. A search for it, in all that torch makes, takes half a second
    # while torch is imported, and a third at the end.
    gc.disable()
    stage = import_module(f"stages.{name}")
    gc.freeze()
    gc.enable()
    told = stage.main()
    print(f"{name}: {told}; {perf_counter() - start:.1f} s")


def main() -> None:
    """Run the stage that the command line names."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    parser = ArgumentParser(prog="python -m stages", description="Run one stage of the pipeline.")
    parser.add_argument("stage", choices=names)
    run_stage(partial(import_and_run, parser.parse_args().stage))


if __name__ == "__main__":
    main()
