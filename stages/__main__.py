"""One stage, by its name, in a process of its own: `python -m stages train`."""

import gc
import os
import sys
from argparse import ArgumentParser
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter

# Of notebooks, desktops and progress bars: it breaks what it is not meant for, or moves a pixel.
FOREIGN = ("FREETYPE_", "MPL", "TQDM_")


def import_and_run(name: str) -> None:
    """Import a stage, run it, and say in a line what it did and how long it took."""
    from stages._inputs import unchanged  # noqa: PLC0415

    start = perf_counter()
    with unchanged(name):
        # Imports make no garbage. A search for it, in all that torch makes, takes half a second
        # while torch is imported, and more at the end.
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
    name = parser.parse_args().stage
    for variable in [variable for variable in os.environ if variable.startswith(FOREIGN)]:
        del os.environ[variable]
    try:
        from digits.process import run_stage  # noqa: PLC0415
    except ModuleNotFoundError as error:  # DVC takes whatever `python` comes first
        activate = ". .venv/bin/activate, after make setup"
        sys.exit(f"error: {sys.executable}: {error}; expected the project's own: {activate}")
    run_stage(partial(import_and_run, name))


if __name__ == "__main__":
    main()
