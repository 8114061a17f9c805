"""doctor: what this machine has, and whether the pipeline can run on it and keep its promises.

Prints a line for each thing that was looked at: ok, a note, or what is wrong and how to mend it,
which ends in status 1. It needs Python alone: where nothing is installed yet, it says so.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from digits.errors import InputError

OLDEST, NEWEST = (3, 11), (3, 13)  # Python
DISK, MEMORY = 2.0, 1.0  # GB that the pipeline takes on MNIST, with torch's build without CUDA
CONSTRAINTS = Path("constraints.txt")
# What knows the processor's name: on Linux, and on macOS.
_NAMING = "LC_ALL=C lscpu | sed -n 's/^ *Model name: *//p'; sysctl -n machdep.cpu.brand_string"
Finding = tuple[str, str]  # "ok", "note" or "wrong", and words


def describe_processor() -> str:
    """Return the name of this processor, as far as the system has one, and its architecture."""
    ran = subprocess.run(_NAMING, shell=True, capture_output=True, text=True, check=False)
    [name, *_] = ran.stdout.splitlines() or ["unknown processor"]
    return f"{name} ({platform.machine()})"


def describe_machine() -> str:
    """Return processor, kernels, where training runs and with how many threads, and versions.

    InputError if the environment asks for a device that cannot be used.
    """
    # Not needed for anything else here, and not there before the environment is made.
    import torch  # noqa: PLC0415

    from digits.network.device import choose_device, describe_device  # noqa: PLC0415

    return (
        f"{describe_processor()}: {torch.backends.cpu.get_cpu_capability()} kernels, "
        f"training on {describe_device(choose_device())}; "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )


def other_versions(constraints: Path) -> Iterator[str]:
    """Yield the installed packages that are not as pinned, each with its version and that."""
    text = constraints.read_text(encoding="utf-8") if constraints.exists() else ""
    for name, pinned in re.findall(r"^([\w.-]+)==([\w.!+-]+)", text, re.MULTILINE):
        try:
            found = version(name).partition("+")[0]  # without what tells builds apart
        except PackageNotFoundError:  # of an extra
            continue
        if found != pinned:
            yield f"{name} {found}, pinned {pinned}"


def look() -> Iterator[Finding]:
    """Yield what was found of everything that matters."""
    bounds = " to ".join(".".join(map(str, bound)) for bound in (OLDEST, NEWEST))
    fits = OLDEST <= sys.version_info[:2] <= NEWEST
    yield _judge(fits, f"Python {platform.python_version()}; expected {bounds}")
    try:
        yield "ok", describe_machine()
    except ModuleNotFoundError as error:
        told = f"{error.name}: not installed for this Python; make repro does that, in .venv"
        yield "note", f"{describe_processor()}; {told}"
    except (ImportError, InputError) as error:
        yield "wrong", f"{describe_processor()}; {error}"
    others = ", ".join(other_versions(CONSTRAINTS))
    told = f"{others}; rm -rf .venv && make setup mends that" if others else "none"
    yield _judge(not others, f"versions other than in {CONSTRAINTS}: {told}")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = shutil.disk_usage(Path()).free
    for size, least, what in ((free, DISK, "disk free"), (memory, MEMORY, "memory")):
        yield _judge(size >= least * 1e9, f"{size / 1e9:.1f} GB of {what}; expected {least:g}")


def _judge(fits: bool, words: str) -> Finding:
    return ("ok" if fits else "wrong"), words


def main() -> None:
    """Look at everything, and end with status 1 if something is wrong."""
    states = set()
    for state, words in look():
        print(f"{state:5}  {words}")
        states.add(state)
    if "wrong" in states:
        raise InputError("what is wrong above; expected it mended before make repro")
