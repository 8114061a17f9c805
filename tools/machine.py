"""This machine in words, as far as Python alone can tell: before anything is installed, too."""

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What Debian and others call it.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# What knows the processor's name, on Linux and on macOS, and how it says it.
_NAMING = {
    "lscpu": r"^\s*Model name:\s*(\S.*)",
    "sysctl -n machdep.cpu.brand_string": r"^(\S.*)",
}


def describe_processor() -> str:
    """Return the name of this processor, as far as the system has one, and its architecture."""
    for command, pattern in _NAMING.items():
        try:
            told = subprocess.run(
                command.split(),
                env=os.environ | {"LC_ALL": "C"},
                capture_output=True,
                text=True,
                check=False,
            ).stdout
        except FileNotFoundError:
            continue
        if found := re.search(pattern, told, re.MULTILINE):
            return f"{found[1]} ({platform.machine()})"
    return f"unknown processor ({platform.machine()})"


def describe() -> str:
    """Return processor, kernels, where training runs and with how many threads, and versions.

    Raises:
        InputError: the environment asks for a device that cannot be used.
        ImportError: torch is not installed.
    """
    # Not needed for anything else here, and not there before the environment is made.
    import torch  # noqa: PLC0415

    from digits.network.device import choose_device, describe_device  # noqa: PLC0415

    return (
        f"{describe_processor()}: {torch.backends.cpu.get_cpu_capability()} kernels, "
        f"training on {describe_device(choose_device())}; "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )


def explain(requirements: Path) -> str:
    """Return why results built here might differ from those of the commit, if that is known."""
    # Training has no arithmetic of torch's own: its version alone changes nothing.
    changed = [other for other in other_versions(requirements) if not other.startswith("torch ")]
    if changed:
        return f"versions other than in {requirements.name}: {', '.join(changed)}"
    return (
        "none is known: no processor, GPU, number of threads or version of torch changes a byte; "
        "either the commit does not hold what its code makes, or it is a bug: please report it"
    )


def other_versions(requirements: Path) -> Iterator[str]:
    """Yield the packages that are not as pinned, each with its version and the pinned one."""
    for line in requirements.read_text(encoding="utf-8").splitlines():
        name, pinned, rest = line.partition("#")[0].partition("==")
        if not pinned:
            continue
        wanted = rest.partition(";")[0].strip()
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            found = "missing"
        if found != wanted:
            yield f"{name} {found}, pinned {wanted}"
