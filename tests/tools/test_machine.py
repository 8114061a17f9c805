import platform
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from tools import machine


def test_a_package_as_pinned_is_no_other_version_whatever_stands_behind_it(tmp_path: Path) -> None:
    path, found = tmp_path / "requirements.txt", version("numpy")
    path.write_text(
        "# torch==1.0 in a comment.\n"
        f"numpy=={found}\n"
        f"numpy=={found} # why it is this one\n"
        f"numpy=={found} ; python_version < '4'\n"
        "numpy==1.0 # another\n"
        "no-such-package==2.0\n"
    )
    assert list(machine.other_versions(path)) == [
        f"numpy {found}, pinned 1.0",
        "no-such-package missing, pinned 2.0",
    ]


@pytest.mark.parametrize(
    ("program", "told", "name"),
    [
        ("lscpu", "BIOS Model name:  no\n  Model name:  Neoverse-N1\n", "Neoverse-N1"),
        ("lscpu", "Architecture: riscv64\n", "unknown processor"),
        ("sysctl", "Apple M2\n", "Apple M2"),
        ("none", "", "unknown processor"),
    ],
)
def test_a_processor_is_named_as_its_system_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, told: str, name: str
) -> None:
    (tmp_path / program).write_text(f"#!/bin/sh\nprintf '{told}'\n")
    (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.describe_processor() == f"{name} ({platform.machine()})"


def test_the_machine_is_processor_kernels_device_and_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIGITS_DEVICE", "cpu")
    told = machine.describe()
    kernels = torch.backends.cpu.get_cpu_capability()
    start = f"{machine.describe_processor()}: {kernels} kernels, training on the CPU"
    assert told.startswith(start)
    assert told.endswith(f"; torch {torch.__version__}, Python {sys.version.split()[0]}")


@pytest.mark.parametrize("pins", ["numpy=={}\n", "numpy=={}\ntorch==1.0\n"])
def test_with_pinned_versions_but_torchs_no_reason_is_known(tmp_path: Path, pins: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(pins.format(version("numpy")))
    reason = machine.explain(path)
    assert reason.startswith("none is known: ")
    assert reason.endswith("please report it")


def test_other_versions_are_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy==1.0\nno-such-package==2.0; python_version < '3.12'\n")
    assert machine.explain(path) == (
        f"versions other than in requirements.txt: numpy {version('numpy')}, pinned 1.0, "
        "no-such-package missing, pinned 2.0"
    )
