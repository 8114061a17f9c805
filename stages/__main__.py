"""One stage, by its name, in a process of its own.

    python -m stages train

The process is made ready before the stage is imported, so that its end, its folder and what it
reads are settled from the start.
"""

import atexit
import gc
import hashlib
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter

# Of notebooks, desktops and progress bars: it breaks what it is not meant for, or moves a pixel.
FOREIGN = ("FREETYPE_", "MPL", "TQDM_")


def import_and_run(name: str, code: Mapping[str, str]) -> None:
    """Import a stage, run it, and say in a line what it did and how long it took.

    Args:
        name: of the stage.
        code: the MD5 of each module before it was imported, by path.
    """
    from stages._inputs import PIPELINE, unchanged  # noqa: PLC0415  (hashed before)

    start = perf_counter()
    with unchanged(PIPELINE, name, code) as check:
        # Imports make no garbage. A search for it, in all that torch makes, takes half a second
        # while torch is imported, and a third at the end.
        gc.disable()
        stage = import_module(f"stages.{name}")
        gc.freeze()
        gc.enable()
        check()
        told = stage.main()
    print(f"{name}: {told}; {perf_counter() - start:.1f} s")


def hash_code() -> dict[str, str]:
    """Return the MD5 of each module of this project that a stage may import, by its path."""
    root = Path(__file__).parent.parent
    paths = [path for package in ("digits", "stages") for path in root.glob(f"{package}/**/*.py")]
    contents = {str(path.relative_to(root)): path.read_bytes() for path in paths}
    return {
        name: hashlib.md5(content, usedforsecurity=False).hexdigest()
        for name, content in contents.items()
    }


def settle_environment(code: Mapping[str, str]) -> None:
    """Take out of the environment what others export, and say there which code this process has."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    os.environ["STAGE_CODE"] = hashlib.sha256(repr(sorted(code.items())).encode()).hexdigest()


def main() -> None:
    """Run the stage that the command line names."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    parser = ArgumentParser(prog="python -m stages", description="Run one stage of the pipeline.")
    parser.add_argument("stage", choices=names)
    name, code = parser.parse_args().stage, hash_code()
    settle_environment(code)
    from digits.process import run_stage  # noqa: PLC0415  (hashed before)

    run_stage(partial(import_and_run, name, code))


if __name__ == "__main__":
    main()
    # DVC looks at what a stage has read once it has ended. What Python and torch do before their
    # end, and nobody needs, would make that a third of a second later.
    atexit._run_exitfuncs()  # noqa: SLF001  (such as matplotlib's, which removes a folder)
    os._exit(0)
