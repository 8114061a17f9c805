"""The numeric platform of this machine in words, and why it might lead to other bytes."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import torch

from digits import numerics
from digits.params import Numerics
from proofs.machine import describe_processor, other_versions

# Each makes torch or MKL choose other code than it would for this processor.
_VARIABLES = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE")


def describe(params: Numerics) -> str:
    """Return processor, kernels, threads and versions, after setting the platform of `params`."""
    # In mode portable, `configure` sets them itself.
    free = [name for name in _VARIABLES if params.mode == "machine" and name in os.environ]
    asked = "".join(f", {name}={os.environ[name]}" for name in free)
    numerics.configure(params)
    kernels = torch.backends.cpu.get_cpu_capability()
    return (
        f"{describe_processor()}; numerics.mode {params.mode}: {kernels} kernels, "
        f"{params.threads} threads{asked}; torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )


def reasons(params: Numerics, requirements: Path) -> Iterator[str]:
    """Yield why results built here might differ from those of the commit, the likeliest last."""
    changed = list(other_versions(requirements))
    if changed:
        yield f"versions other than in {requirements.name}: {', '.join(changed)}"
    if params.mode == "machine":
        kernels = torch.backends.cpu.get_cpu_capability()
        yield (
            "the platform: in mode machine, bytes repeat only on the type of processor and the "
            f"kernels that made them; here: {describe_processor()}, {kernels} kernels"
        )
    elif not changed:
        yield (
            "none is known: in mode portable, with every version as pinned, this should not be; "
            "either the commit does not hold what its code makes, or it is a bug: please report it"
        )
