import re
import sys
from pathlib import Path

import pytest

from digits.errors import InputError
from digits.params import Augment, Train, load_params
from proofs import emulation
from proofs.sandbox import ROOT
from stages import prepare


@pytest.fixture
def study(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare.main()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "argv", ["emulation", "--steps", "5"])
    return project


def test_another_process_gives_the_bytes_of_this_one(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = emulation.digest(5)
    capsys.readouterr()
    machines = {"other": ["env", "MKL_CBWR=AVX2", "OMP_NUM_THREADS=1"]}
    monkeypatch.setattr(emulation, "MACHINES", machines)
    emulation.main()
    told = capsys.readouterr().out
    assert dict(re.findall(r"  (\w+) +([0-9a-f]{64})\n", told)) == expected
    assert told.endswith("the same bytes: 1 of 1\n")


def test_machines_that_differ_are_an_error(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "run", lambda machine, *_: f"{machine}\n")
    with pytest.raises(InputError, match="4 different results; expected the same bytes"):
        emulation.main()


def test_a_missing_emulator_is_named(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "MACHINES", {"other": ["qemu-none"]})
    with pytest.raises(InputError, match=r"^qemu-none: not installed; expected it for 'other'$"):
        emulation.main()


def test_everything_that_may_be_on_is_on_in_a_run_under_emulated_processors() -> None:
    seed, everything = (
        load_params(ROOT / name) for name in ("recipes/seed.yaml", "proofs/everything.yaml")
    )
    assert everything.numerics.mode == "portable"
    # What the number of steps stands for, and what portable does not allow.
    aside = {"rows", "widths", "epochs", "batch_size", "seed", "networks", "device", "precision"}
    for name in Train.model_fields.keys() - aside - {"augment"}:
        assert getattr(everything.train, name) != getattr(seed.train, name), name
    for name in Augment.model_fields:
        assert getattr(everything.train.augment, name) != getattr(seed.train.augment, name), name
    assert everything.predict.shift
