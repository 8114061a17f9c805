"""A Python for ARM's 64-bit processors, with torch, which runs here under qemu-aarch64.

The packages of Debian or Ubuntu are only unpacked to .aarch64/ (a minute, 170 MB to download), so
that this takes no root and changes nothing else on this machine.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from platform import freedesktop_os_release

from tests.sandbox import PINNED, ROOT

FOLDER = ROOT / ".aarch64"
READY = FOLDER / "ready"  # holds what the folder was made from
QEMU = ["qemu-aarch64", "-cpu", "neoverse-n1", "-L", str(FOLDER), str(FOLDER / "usr/bin/python3")]
PACKAGES = ["python3", "libgomp1", "libstdc++6"]
TORCH = "torch==2.7.1"  # later ones for aarch64 bring CUDA, in gigabytes
# With all that they and torch need: pip itself would choose what those need on x86-64.
WHEELS = (
    *("numpy", "scipy", "pandas", "safetensors", "pyyaml", "tqdm", "jinja2", "markupsafe"),
    *("matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "packaging", "pillow"),
    *("pyparsing", "python-dateutil", "six"),
    *("pydantic", "pydantic-core", "annotated-types", "typing-extensions", "typing-inspection"),
    *("filelock", "fsspec", "mpmath", "networkx", "psutil", "sympy"),
)


def pins() -> list[str]:
    """Return every wheel with its version."""
    lines = PINNED.read_text(encoding="utf-8").splitlines()
    versions = dict(line.split(";")[0].strip().split("==") for line in lines if "==" in line)
    return [TORCH, *(f"{name}=={versions[name]}" for name in WHEELS)]


def make() -> None:
    """Make the folder, unless it is there and was made from the same versions."""
    wanted = "\n".join([*PACKAGES, *pins()])
    if READY.exists() and READY.read_text(encoding="utf-8") == wanted:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    unpack_packages(FOLDER / "apt")
    shutil.rmtree(FOLDER / "apt")
    install_wheels()
    READY.write_text(wanted, encoding="utf-8")


def unpack_packages(state: Path) -> None:
    """Unpack Python for arm64, with all that it needs; `state` is a new folder for apt-get."""
    archives = state / "cache/archives"
    for folder in (archives / "partial", state / "lists/partial"):
        folder.mkdir(parents=True)
    (state / "status").touch()
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",  # others may not be let into `state`
        "Dir::Cache": f"{state}/cache",
        "Dir::State": f"{state}",
        "Dir::State::status": f"{state}/status",  # no package is there, and the lock lies beside it
    }
    if codename := freedesktop_os_release().get("UBUNTU_CODENAME"):  # its arm64 has other servers
        sources = state / "sources.list"
        url = "http://ports.ubuntu.com/ubuntu-ports"
        suites = [codename, f"{codename}-updates", f"{codename}-security"]
        sources.write_text("".join(f"deb {url} {suite} main universe\n" for suite in suites))
        options |= {"Dir::Etc::SourceList": str(sources), "Dir::Etc::SourceParts": "/dev/null"}
    apt = ["apt-get", "-qq", *(f"--option={name}={value}" for name, value in options.items())]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "install", "--yes", "--download-only", *PACKAGES], check=True)
    for package in archives.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, FOLDER], check=True)
    if not (FOLDER / "lib").exists():  # newer ones leave it to a package that is not needed
        (FOLDER / "lib").symlink_to("usr/lib")


def install_wheels() -> None:
    """Install the wheels for that Python."""
    name = (FOLDER / "usr/bin/python3").readlink().name  # such as python3.11
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--target", str(FOLDER / f"usr/local/lib/{name}/dist-packages")]
    pip += ["--no-deps", "--only-binary=:all:", "--python-version", name.removeprefix("python")]
    pip += [f"--platform=manylinux_2_{glibc}_aarch64" for glibc in range(17, 29)]
    subprocess.run([*pip, *pins()], check=True)
