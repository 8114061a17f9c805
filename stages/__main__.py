"""One stage, by its name, in a process of its own.

    python -m stages train

DVC takes whatever `python` comes first. Where that lacks a package, as no environment is activated,
the one in .venv runs the stage: so nothing is imported up here but the standard library.
"""

import atexit
import gc
import os
import subprocess
import sys
from argparse import ArgumentParser
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parent.parent
PACKAGES = ("matplotlib", "pandas", "psutil", "pydantic", "safetensors", "torch", "yaml")
# Of notebooks, desktops and progress bars: it breaks what it is not meant for, or moves a pixel.
FOREIGN = ("FREETYPE_", "MPL", "TQDM_")


def use_environment() -> None:
    """Run this command with the project's own Python instead, where this one lacks a package."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if not missing:
        return
    own = [*ROOT.glob(".venv/bin/python"), *ROOT.glob(".venv/Scripts/python.exe")]
    if not own or Path(sys.prefix).samefile(ROOT / ".venv"):
        sys.exit(f"error: {sys.executable} lacks {missing[0]}; expected .venv: run make setup")
    command = [str(own[0]), "-E", "-m", "stages", *sys.argv[1:]]
    if os.name == "posix":
        os.execv(command[0], command)
    sys.exit(subprocess.run(command, check=False).returncode)


def import_and_run(name: str) -> None:
    """Import a stage, run it, and say in a line what it did and how long it took."""
    from stages._inputs import unchanged  # noqa: PLC0415

    start = perf_counter()
    with unchanged(name):
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
    name = parser.parse_args().stage
    for variable in [variable for variable in os.environ if variable.startswith(FOREIGN)]:
        del os.environ[variable]
    # Of torch, where workers lose one another: what there is to be told, they tell themselves.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    from digits.process import run_stage  # noqa: PLC0415

    run_stage(partial(import_and_run, name))


if __name__ == "__main__":
    use_environment()
    main()
    # What Python and torch do before their end, and nobody needs, takes up to a third of a second.
    atexit._run_exitfuncs()  # noqa: SLF001  (such as matplotlib's, which removes a folder)
    os._exit(0)
