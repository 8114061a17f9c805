"""doctor: what this machine has, and whether the pipeline can run on it and keep its promises.

Prints a line for each thing that was looked at: ok, a note on what only some commands need, or what
is wrong and how to mend it, which ends in status 1. It needs Python alone: where nothing is
installed yet, it says so.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from digits.errors import InputError

OLDEST, NEWEST = (3, 11), (3, 13)  # Python
DISK, MEMORY = 2.0, 1.0  # GB that the pipeline takes on MNIST, with torch's build without CUDA
CONSTRAINTS, PROJECT = Path("constraints.txt"), Path("pyproject.toml")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")  # what Debian and others call it
# What knows the processor's name, on Linux and on macOS, and how it says it.
_NAMING = {
    "lscpu": r"^\s*Model name:\s*(\S.*)",
    "sysctl -n machdep.cpu.brand_string": r"^(\S.*)",
}
Finding = tuple[str, str]  # "ok", "note" or "wrong", and words


def describe_processor() -> str:
    """Return the name of this processor, as far as the system has one, and its architecture."""
    for command, pattern in _NAMING.items():
        if shutil.which(command.split()[0]):
            found = re.search(pattern, _run(*command.split()).stdout, re.MULTILINE)
            if found:
                return f"{found[1]} ({platform.machine()})"
    return f"unknown processor ({platform.machine()})"


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
        if (found := _find_version(name)) not in (None, pinned):
            yield f"{name} {found}, pinned {pinned}"


def _find_version(requirement: str) -> str | None:
    """Return the version of an installed package, without what tells builds apart."""
    try:
        return version(re.split(r"[^\w.-]", requirement)[0]).partition("+")[0]
    except PackageNotFoundError:
        return None


def look() -> Iterator[Finding]:
    """Yield what was found of everything that matters."""
    bounds = " to ".join(".".join(map(str, bound)) for bound in (OLDEST, NEWEST))
    fits = OLDEST <= sys.version_info[:2] <= NEWEST
    yield _judge(fits, f"Python {platform.python_version()}; expected {bounds}")
    if _find_version("torch"):
        yield from check_packages()
    else:
        yield "note", "packages: not installed for this Python; make repro does that, in .venv"
        yield "ok", describe_processor()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = shutil.disk_usage(Path()).free
    for size, least, what in ((free, DISK, "disk free"), (memory, MEMORY, "memory")):
        yield _judge(size >= least * 1e9, f"{size / 1e9:.1f} GB of {what}; expected {least:g}")
    yield from check_extras()
    yield from check_programs()


def _judge(fits: object, words: str, otherwise: str = "wrong") -> Finding:
    return ("ok" if fits else otherwise), words


def check_packages() -> Iterator[Finding]:
    """Look at the version of everything that is pinned, and at what training would run on."""
    required = _read_project()["dependencies"]
    missing = [f"{name} missing" for name in required if not _find_version(name)]
    others = ", ".join([*missing, *other_versions(CONSTRAINTS)])
    told = f"other than in {CONSTRAINTS}: {others}; rm -rf .venv && make setup mends that"
    yield _judge(not others, told if others else f"every version as in {CONSTRAINTS}")
    try:
        yield "ok", describe_machine()
    except (ImportError, InputError) as error:
        yield "wrong", f"{describe_processor()}; {error}"


def check_extras() -> Iterator[Finding]:
    """Look at what only some commands need, and `make setup` installs when it is asked to."""
    for name, packages in _read_project()["optional-dependencies"].items():
        installed = all(map(_find_version, packages))
        state = "installed" if installed else f"not installed; make setup EXTRA={name} does that"
        yield _judge(installed, f"{name} ({', '.join(packages)}): {state}", "note")


def _read_project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return project


def find_chromium() -> str | None:
    """Return the path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


def check_programs() -> Iterator[Finding]:
    """Look at Git, and for a browser."""
    if not shutil.which("git"):
        yield "wrong", "git: missing; DVC needs it"
    elif (ran := _run("git", "rev-parse", "--is-shallow-repository")).returncode:
        yield "note", f"git: {' '.join(ran.stderr.split())}; compare, diff and verify need a clone"
    needed = "missing; pictures of the report, and its tests, need it"
    yield _judge(find_chromium(), f"{CHROMIUM[0]}: {find_chromium() or needed}", "note")


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def main() -> None:
    """Look at everything, and end with status 1 if something is wrong."""
    states = set()
    for state, words in look():
        print(f"{state:5}  {words}")
        states.add(state)
    if "wrong" in states:
        raise InputError("what is wrong above; expected it mended before make repro")
