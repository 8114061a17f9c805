"""doctor: what this machine has, and whether the pipeline can run on it and keep its promises.

    python -m tools.doctor

Prints a line for each thing that was looked at: ok, a note on what only some targets need, or what
is wrong and how to mend it, which ends in status 1. Where nothing is installed yet, it says so.
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from digits.errors import InputError, run_command
from tools.machine import CHROMIUM, describe, describe_processor, other_versions

OLDEST, NEWEST = (3, 11), (3, 13)  # Python
DISK, MEMORY = 2.0, 1.0  # GB that the pipeline takes on MNIST, with torch's build without CUDA
ENVIRONMENT = Path(".venv")
REQUIREMENTS = Path("requirements.txt")
NAMED = 8  # packages, at most
# Which target installs each of the others when it needs them.
EXTRAS = {
    "requirements-browser.txt": "make test-results",
    "requirements-export.txt": "make export",
    "requirements-hooks.txt": "make hooks",
    "requirements-kaggle.txt": "make kaggle-data",
    "requirements-pictures.txt": "pip install --requirement requirements-pictures.txt",
    "requirements-proofs.txt": "make audit",
    "requirements-remotes.txt": "make remotes",
    "requirements-studies.txt": "make study",
}
PROGRAMS = {
    CHROMIUM: "make test-results and make screenshots need it",
    ("qemu-x86_64",): "make emulate needs it",
    ("sshd",): "make test-long tests remotes by SSH with it",
}


@dataclass(frozen=True)
class Finding:
    """What was found, and whether it will do."""

    state: Literal["ok", "note", "wrong"]
    words: str


def look() -> Iterator[Finding]:
    """Yield what was found of everything that matters."""
    yield check_python(sys.version_info[:2])
    if find_spec("torch") is None and not ENVIRONMENT.exists():
        yield Finding("note", f"{ENVIRONMENT}: nothing is installed yet; make repro does that")
        yield Finding("ok", describe_processor())
    else:
        yield check_versions(REQUIREMENTS)
        yield check_platform()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield check_size("disk free", shutil.disk_usage(Path()).free, DISK)
    yield check_size("memory", memory, MEMORY)
    yield from check_extras(EXTRAS)
    yield from check_programs(PROGRAMS)


def check_platform() -> Finding:
    """Look at what computes, if all that it takes is there."""
    try:
        return Finding("ok", describe())
    except (ImportError, InputError) as error:
        return Finding("wrong", f"{describe_processor()}; {error}")


def check_python(version: tuple[int, int]) -> Finding:
    """Look at Python's version."""
    state: Literal["ok", "wrong"] = "ok" if OLDEST <= version <= NEWEST else "wrong"
    bounds = " to ".join(".".join(map(str, bound)) for bound in (OLDEST, NEWEST))
    return Finding(state, f"Python {platform.python_version()}; expected {bounds}")


def check_versions(requirements: Path) -> Finding:
    """Look at the version of everything that is pinned."""
    others = list(other_versions(requirements))
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        named = ", ".join(others[:NAMED]) + more
        mend = "rm -rf .venv && make setup"
        return Finding("wrong", f"other than in {requirements}: {named}; {mend} mends that")
    return Finding("ok", f"every version as in {requirements}")


def check_size(name: str, size: int, expected: float) -> Finding:
    """Look at how many bytes there are, where so many GB are expected."""
    state: Literal["ok", "wrong"] = "ok" if size >= expected * 1e9 else "wrong"
    return Finding(state, f"{size / 1e9:.1f} GB of {name}; expected {expected:g}")


def check_extras(extras: dict[str, str]) -> Iterator[Finding]:
    """Look at what only some targets need, and install."""
    for name, target in extras.items():
        others = list(other_versions(Path(name)))
        state: Literal["ok", "note"] = "note" if others else "ok"
        installs = f"not installed as pinned; {target} does that"
        yield Finding(state, f"{name}: {installs if others else 'installed as pinned'}")


def check_programs(programs: dict[tuple[str, ...], str]) -> Iterator[Finding]:
    """Look for programs, by what needs them; any name of one will do."""
    if not shutil.which("git"):
        yield Finding("wrong", "git: missing; DVC needs it")
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    for names, use in programs.items():
        found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
        yield Finding("ok" if found else "note", f"{names[0]}: {found or f'missing; {use}'}")


def tell(findings: Iterable[Finding]) -> bool:
    """Print the findings; return whether nothing is wrong."""
    well = True
    for finding in findings:
        print(f"{finding.state:5}  {finding.words}")
        well = well and finding.state != "wrong"
    return well


def main() -> None:
    """Look at everything, and end with status 1 if something is wrong."""
    if not tell(look()):
        raise InputError("what is wrong above; expected it mended before make repro")


if __name__ == "__main__":
    run_command(main)
