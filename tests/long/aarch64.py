"""aarch64: a Python for ARM's 64-bit processors, with torch, which runs here under qemu-aarch64.

    python -m tests.long.aarch64

Makes .aarch64/ (a minute, 170 MB to download). The packages of Debian or Ubuntu are only unpacked
there, so that this takes no root and changes nothing else on this machine.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from platform import freedesktop_os_release

from digits.errors import InputError, run_command

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".aarch64"
PYTHON = FOLDER / "usr/bin/python3"
QEMU = ["qemu-aarch64", "-cpu", "neoverse-n1", "-L", str(FOLDER)]
PACKAGES = ("python3", "libgomp1", "libstdc++6")
# Later ones for aarch64 bring CUDA, in gigabytes.
TORCH = "torch==2.7.1"
# With all that they and torch need: pip itself would choose what those need on x86-64.
WHEELS = (
    *("numpy", "pandas", "safetensors", "PyYAML", "tqdm", "Jinja2", "MarkupSafe"),
    *("matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "packaging", "pillow"),
    *("pyparsing", "python-dateutil", "six"),
    *("pydantic", "pydantic_core", "annotated-types", "typing_extensions", "typing-inspection"),
    *("filelock", "fsspec", "mpmath", "networkx", "sympy"),
)


def run(*command: str) -> str:
    """Run a command; return what it prints.

    Raises:
        InputError: it is not installed, or fails; the message has the last that it said.
    """
    if not shutil.which(command[0]):
        raise InputError(f"{command[0]}: not installed; expected Debian or Ubuntu, with qemu-user")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        [*_, told] = ran.stderr.strip().splitlines() or [f"status {ran.returncode}"]
        raise InputError(f"{command[0]}: {told[:200]}; expected what {FOLDER.name}/ is made from")
    return ran.stdout


def configure_apt(state: Path, release: dict[str, str]) -> Iterator[str]:
    """Yield options by which apt-get takes this system's packages for arm64, and nothing is here.

    Args:
        state: a folder for what it fetches and remembers.
        release: what os-release says of this system.
    """
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",  # others may not be let into `state`
        "Dir::Cache": f"{state}/cache",
        "Dir::State": f"{state}",
        "Dir::State::status": f"{state}/status",  # no package is there, and the lock lies beside it
    }
    if codename := release.get("UBUNTU_CODENAME"):  # it has other servers for arm64
        sources = state / "sources.list"
        url = "http://ports.ubuntu.com/ubuntu-ports"
        suites = [codename, f"{codename}-updates", f"{codename}-security"]
        sources.write_text("".join(f"deb {url} {suite} main universe\n" for suite in suites))
        options |= {"Dir::Etc::SourceList": str(sources), "Dir::Etc::SourceParts": "/dev/null"}
    for name, value in options.items():
        yield from ("-o", f"{name}={value}")


def unpack_packages(state: Path) -> None:
    """Unpack Python for arm64, with all that it needs, to `FOLDER`; `state` is for apt-get."""
    archives = state / "cache/archives"
    for folder in (archives / "partial", state / "lists/partial"):
        folder.mkdir(parents=True)
    (state / "status").touch()
    apt = ["apt-get", "-qq", *configure_apt(state, freedesktop_os_release())]
    run(*apt, "update")
    run(*apt, "install", "--yes", "--download-only", *PACKAGES)
    for package in sorted(archives.glob("*.deb")):
        run("dpkg-deb", "--extract", str(package), str(FOLDER))
    if not (FOLDER / "lib").exists():  # newer ones leave it to a package that is not needed
        (FOLDER / "lib").symlink_to("usr/lib")


def install_wheels() -> None:
    """Install the wheels for that Python, in the versions of requirements.txt but for torch's."""
    name = PYTHON.readlink().name  # such as python3.11
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--target", str(FOLDER / f"usr/local/lib/{name}/dist-packages")]
    pip += ["--no-deps", "--only-binary=:all:", "--python-version", name.removeprefix("python")]
    pip += [f"--platform=manylinux_2_{glibc}_aarch64" for glibc in range(17, 29)]
    run(*pip, TORCH)
    run(*pip, "--constraint", str(ROOT / "requirements.txt"), *WHEELS)


def main() -> None:
    """Make the folder anew, and say what it holds."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    state = FOLDER / "apt"
    unpack_packages(state)
    shutil.rmtree(state)
    install_wheels()
    words = '"Python", p.python_version(), "on", p.machine(), "with torch", torch.__version__'
    print(run(*QEMU, str(PYTHON), "-c", f"import platform as p, torch; print({words})"), end="")


if __name__ == "__main__":
    run_command(main)
