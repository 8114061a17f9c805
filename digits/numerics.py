"""The numeric platform: which arithmetic the machine does, and so which bytes come out.

A seed makes PyTorch repeat itself on one machine; on another CPU it picks other kernels, which add
in another order. In `portable` mode, MKL keeps to code that is the same on every x86-64 CPU
(conditional numerical reproducibility, "COMPATIBLE"), ATen to its AVX2 kernels, and the number of
threads is fixed, so that the same bytes come out wherever there is AVX2. In `machine` mode both
pick what is fastest: the same bytes only on the same type of CPU, or of GPU.
"""

import os

import torch

from digits.errors import InputError
from digits.params import Numerics

_PORTABLE = {"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "avx2"}
# Each of these changes into how many parts a product is cut, and so the bytes that come out. OpenMP
# reads them when torch is imported: too late to unset them here.
_FORBIDDEN = ("MKL_NUM_STRIPES", "OMP_DYNAMIC", "OMP_MAX_ACTIVE_LEVELS", "OMP_THREAD_LIMIT")


def configure(numerics: Numerics) -> None:
    """Set the numeric platform of this process; call it before any arithmetic in torch.

    Raises:
        InputError: the mode is `portable`, and this CPU has no AVX2, or a variable of the
            environment forbids the number of threads.
        RuntimeError: torch did arithmetic before, and has settled on other kernels.
    """
    if numerics.mode == "portable":
        _check_environment()
        # MKL and ATen read these when they are first used, not when torch is imported.
        os.environ.update(_PORTABLE)
        _check_capability()
    torch.set_num_threads(numerics.threads)


def choose_device(numerics: Numerics, device: str) -> torch.device:
    """Return where to train, and make a GPU there deterministic; call it before any work on one.

    Args:
        numerics: whose mode a GPU must not contradict.
        device: "cpu", "cuda" (a GPU), or "auto": a GPU if there is one, and the mode allows it.

    Raises:
        InputError: the device is "cuda", and there is no GPU, or the mode is `portable`.
    """
    available, portable = torch.cuda.is_available(), numerics.mode == "portable"
    if device == "cuda":
        if portable:
            raise _not_portable("train.device = 'cuda'")
        if not available:
            raise InputError(
                "params.yaml: train.device = 'cuda': torch finds no GPU; "
                "expected one (or train.device = 'cpu')"
            )
    if device == "cpu" or portable or not available:
        return torch.device("cpu")
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS's condition for the same bytes
    torch.use_deterministic_algorithms(True)
    return torch.device("cuda")


def check_precision(numerics: Numerics, precision: str) -> None:
    """Check that training may multiply in that precision.

    Processors round products of bfloat16, and what they are added to, each in its own way.

    Args:
        numerics: whose mode the precision must not contradict.
        precision: "float32" or "bfloat16".

    Raises:
        InputError: the precision is "bfloat16", and the mode is `portable`.
    """
    if precision != "float32" and numerics.mode == "portable":
        raise _not_portable(f"train.precision = {precision!r}")


def multiplies_bfloat16() -> bool:
    """Return whether this CPU has products of bfloat16; else they take longer than float32's."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def name_device(device: torch.device) -> str:
    """Return "cpu", or the type of the GPU: bytes repeat on the same type only."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _not_portable(setting: str) -> InputError:
    return InputError(
        f"params.yaml: {setting}: numerics.mode = 'portable' promises the same bytes on any CPU; "
        "expected numerics.mode = 'machine'"
    )


def _check_environment() -> None:
    for name in _FORBIDDEN:
        if name in os.environ:
            raise InputError(
                f"environment: {name} = {os.environ[name]!r} changes what threads compute; "
                "expected it unset (or numerics.mode = 'machine' in params.yaml)"
            )


def _check_capability() -> None:
    capability = torch.backends.cpu.get_cpu_capability()
    if capability.startswith("AVX512"):
        raise RuntimeError("torch was used before digits.numerics.configure")
    if capability != "AVX2":
        raise InputError(
            f"params.yaml: numerics.mode = 'portable': this CPU offers {capability}; "
            "expected AVX2 (or numerics.mode = 'machine')"
        )
