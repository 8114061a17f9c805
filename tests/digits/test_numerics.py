import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import torch

from digits import numerics
from digits.errors import InputError
from digits.params import Numerics
from proofs.sandbox import ROOT

TRAIN = """
import hashlib, sys, torch
from digits import numerics
from digits.params import Numerics, load_params
from digits.training import Labelled, begin, fit
numerics.configure(Numerics(mode=sys.argv[1], threads=int(sys.argv[2])))
generator = torch.Generator().manual_seed(0)
images = torch.randn(64 * 20, 784, generator=generator)
labels = torch.randint(0, 10, (64 * 20,), generator=generator)
params = load_params().train.model_copy(update={"epochs": 1, "batch_size": 64})
state = begin(784, 10, params)
list(fit(state, Labelled(images, labels), Labelled(images[:9], labels[:9]), params))
print("threads", torch.get_num_threads())
print("capability", torch.backends.cpu.get_cpu_capability())
weights = b"".join(value.numpy().tobytes() for value in state.model.state_dict().values())
print("weights", hashlib.sha256(weights).hexdigest())
"""


def train(mode: str, environment: dict[str, str], threads: int = 2) -> str:
    """Train for 20 steps in another process; return what it prints."""
    unset = ("MKL_CBWR", "ATEN_CPU_CAPABILITY")
    clean = {key: value for key, value in os.environ.items() if key not in unset}
    return subprocess.run(
        [sys.executable, "-c", TRAIN, mode, str(threads)],
        env=clean | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def weights(told: str) -> str:
    [found] = [line for line in told.splitlines() if line.startswith("weights ")]
    return found


@pytest.fixture(scope="module")
def portable() -> str:
    return train("portable", {"MKL_VERBOSE": "1"})


def test_portable_reaches_mkl_and_aten_although_torch_is_imported_before(portable: str) -> None:
    assert "CNR:COMPATIBLE" in portable
    assert "CNR:OFF" not in portable
    assert "capability AVX2" in portable


def test_machine_leaves_mkl_free_and_threads_are_as_many_as_asked_for(portable: str) -> None:
    told = train("machine", {"MKL_VERBOSE": "1"}, threads=3)
    assert "CNR:OFF" in told
    assert "threads 3" in told
    assert weights(told) != weights(portable)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no way to choose cores")
def test_one_core_and_what_the_user_set_change_no_byte(portable: str) -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    user = {"MKL_CBWR": "AVX2", "ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"}
    try:
        alone = train("portable", user)
    finally:
        os.sched_setaffinity(0, cores)
    assert "threads 2" in alone
    assert weights(alone) == weights(portable)


@pytest.mark.parametrize("name", ["OMP_DYNAMIC", "OMP_THREAD_LIMIT", "MKL_NUM_STRIPES"])
def test_what_would_change_the_bytes_unseen_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(InputError, match=f"^environment: {name} = '1' changes .* expected it"):
        numerics.configure(Numerics(mode="portable", threads=2))
    numerics.configure(Numerics(mode="machine", threads=2))


def test_a_cpu_without_avx2_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    with pytest.raises(InputError, match=r"this CPU offers DEFAULT; expected AVX2 \(or numerics"):
        numerics.configure(Numerics(mode="portable", threads=2))


def test_arithmetic_before_the_platform_is_set_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    with pytest.raises(RuntimeError, match="torch was used before"):
        numerics.configure(Numerics(mode="portable", threads=2))


def test_nothing_in_the_library_runs_when_it_is_imported(tmp_path: Path) -> None:
    modules = [f"digits.{path.stem}" for path in (ROOT / "digits").glob("[!_]*.py")]
    modules += [f"stages.{path.stem}" for path in (ROOT / "stages").glob("[!_]*.py")]
    code = f"import os; before = dict(os.environ); import {', '.join(modules)}; "
    code += "assert dict(os.environ) == before; assert not os.listdir('.')"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)


def choose(mode: Literal["portable", "machine"], device: str) -> torch.device:
    return numerics.choose_device(Numerics(mode=mode, threads=2), device)


@pytest.mark.parametrize("available", [False, True])
@pytest.mark.parametrize(
    ("mode", "device"), [("portable", "cpu"), ("machine", "cpu"), ("portable", "auto")]
)
def test_the_cpu_is_taken_where_it_is_asked_for_and_where_bytes_must_be_portable(
    monkeypatch: pytest.MonkeyPatch,
    mode: Literal["portable", "machine"],
    device: str,
    available: bool,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: available)
    assert choose(mode, device) == torch.device("cpu")


def test_auto_takes_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose("machine", "auto") == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_a_gpu_is_made_deterministic(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.use_deterministic_algorithms", asked.append)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    assert choose("machine", device) == torch.device("cuda")
    assert asked == [True]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.parametrize(
    ("mode", "available", "message"),
    [
        ("machine", False, "torch finds no GPU; expected one"),
        ("portable", True, "numerics.mode = 'portable' promises .*; expected .*'machine'"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
    mode: Literal["portable", "machine"],
    available: bool,
    message: str,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: available)
    with pytest.raises(InputError, match=rf"^params.yaml: train.device = 'cuda': {message}"):
        choose(mode, "cuda")


def test_bfloat16_is_refused_where_bytes_must_be_portable() -> None:
    numerics.check_precision(Numerics(mode="portable", threads=2), "float32")
    numerics.check_precision(Numerics(mode="machine", threads=2), "bfloat16")
    message = "^params.yaml: train.precision = 'bfloat16': numerics.mode = 'portable' promises .*"
    with pytest.raises(InputError, match=f"{message}; expected numerics.mode = 'machine'$"):
        numerics.check_precision(Numerics(mode="portable", threads=2), "bfloat16")
