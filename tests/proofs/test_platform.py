import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from digits.params import Numerics
from proofs import platform
from proofs.sandbox import ROOT

PORTABLE, MACHINE = (Numerics(mode=mode, threads=2) for mode in ("portable", "machine"))
TOLD = """
import sys
from digits.params import Numerics
from proofs import platform
print(platform.describe(Numerics(mode=sys.argv[1], threads=2)))
"""


def test_the_platform_names_processor_kernels_threads_and_versions() -> None:
    told = platform.describe(PORTABLE)
    assert "numerics.mode portable: AVX2 kernels, 2 threads" in told
    assert f"torch {torch.__version__}, Python {sys.version.split()[0]}" in told


def test_variables_that_choose_other_kernels_are_named() -> None:
    told = subprocess.run(
        [sys.executable, "-c", TOLD, "machine"],
        env=os.environ | {"ATEN_CPU_CAPABILITY": "default"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "numerics.mode machine: DEFAULT kernels" in told
    assert "ATEN_CPU_CAPABILITY=default" in told


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(
        f"# Direct.\nnumpy=={version('numpy')}\ntorch=={version('torch').partition('+')[0]}\n"
    )
    return path


def test_in_portable_mode_with_pinned_versions_no_reason_is_known(requirements: Path) -> None:
    [reason] = platform.reasons(PORTABLE, requirements)
    assert reason.startswith("none is known")


def test_in_machine_mode_the_platform_is_the_reason(requirements: Path) -> None:
    [reason] = platform.reasons(MACHINE, requirements)
    assert reason.startswith("the platform: in mode machine, bytes repeat only on the type of")
    assert reason.endswith("AVX2 kernels")


def test_other_versions_are_the_reason(requirements: Path) -> None:
    requirements.write_text("numpy==1.0\nno-such-package==2.0; python_version < '3.12'\n")
    [reason] = platform.reasons(PORTABLE, requirements)
    assert reason == (
        f"versions other than in requirements.txt: numpy {version('numpy')}, pinned 1.0, "
        "no-such-package missing, pinned 2.0"
    )
