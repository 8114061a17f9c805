import sys
from pathlib import Path

import pytest

from digits.data.image_table import write_images
from digits.errors import InputError
from digits.params import PARAMS, Augment, Train, load_params, load_recipe
from tests.long import emulation
from tests.sandbox import ROOT, draw_images


@pytest.fixture
def study(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a project with rows for a study of params.yaml, and two machines that are this one."""
    emulation.TRAIN.parent.mkdir(parents=True)
    write_images(emulation.TRAIN, *draw_images(150))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "argv", ["emulation", "params.yaml"])
    others = {"other": ["env", "OMP_NUM_THREADS=1", sys.executable]}
    monkeypatch.setattr(emulation, "MACHINES", {"native": [sys.executable]} | others)
    return project


def test_other_processes_give_the_bytes_of_this_one(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = emulation.digest(PARAMS)
    emulation.main()
    whole = emulation.combine(expected)
    told = f"params      {whole}  {len(expected)} files, the same on 2 machines\n"
    assert capsys.readouterr().out == told


def test_a_recipe_is_run_whole_on_each_device(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["emulation", "--whole", "params.yaml"])
    monkeypatch.setattr(emulation, "DEVICES", emulation.MACHINES)
    emulation.main()
    whole, short = (emulation.digest(PARAMS, whole=one) for one in (True, False))
    assert f"params      {emulation.combine(whole)}  " in capsys.readouterr().out
    emulation.write_inputs(PARAMS, study / "new", whole=True)
    assert load_params(study / "new" / PARAMS).train == load_params(PARAMS).train
    lines = (study / "new" / "train.csv").read_text().splitlines()
    assert len(lines) == 1 + 150 - emulation.TEST
    assert whole["plots/training.csv"] != short["plots/training.csv"]


def test_every_file_of_every_stage_is_compared(study: Path) -> None:
    found = emulation.digest(PARAMS)
    for name in ("data/prepared/train/images.npy", "models/mlp.safetensors", "submission.csv"):
        assert name in found
    for name in ("plots/samples.png", "metrics/score.json", "report/index.html"):
        assert name in found
    assert all(len(sha256) == 64 for sha256 in found.values())


def test_the_last_batch_is_another_than_the_first_and_odd(study: Path) -> None:
    emulation.write_inputs(PARAMS, study / "new")
    lines = (study / "new" / "train.csv").read_text().splitlines()
    batch = load_params(PARAMS).train.batch_size
    assert len(lines) == 1 + batch + emulation.LAST + emulation.VALIDATION
    assert emulation.LAST % 2 == 1


def test_what_differs_is_named_with_its_recipe_and_the_machines(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    same = {"a": "1", "b": "2"}
    found = {"native": same, "one": same, "two": {"a": "1", "b": "3"}, "three": {"a": "1"}}
    monkeypatch.setattr(emulation, "MACHINES", found)
    monkeypatch.setattr(emulation, "run", lambda name, *_: {"params": found[name]})
    with pytest.raises(InputError, match=r"^1 files differ; expected the same bytes everywhere$"):
        emulation.main()
    assert capsys.readouterr().out.endswith("1 differ:\n  b (two; three)\n")


def test_a_fault_of_one_bit_on_one_machine_is_found(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / "sitecustomize.py").write_text(
        "import math\n"
        "from digits.evaluation import measures\n"
        "brier = measures.brier_score\n"
        "measures.brier_score = lambda *given: math.nextafter(brier(*given), 2)\n"
    )
    broken = ["env", f"PYTHONPATH={study}:{ROOT}", sys.executable]
    machines = {"native": [sys.executable], "broken": broken}
    monkeypatch.setattr(emulation, "MACHINES", machines)
    with pytest.raises(InputError, match="expected the same bytes everywhere"):
        emulation.main()
    told = capsys.readouterr().out
    assert "1 differ:\n  metrics/evaluation.json (broken)\n" in told


def test_a_missing_emulator_is_named() -> None:
    expected = r"^qemu-none: not installed; expected Debian's package qemu-user$"
    with pytest.raises(InputError, match=expected):
        emulation.run("other", ["env", "qemu-none", sys.executable], [])


def test_a_python_that_is_not_there_is_named(study: Path) -> None:
    with pytest.raises(InputError, match=r"python3: no such file; expected what make emulate"):
        emulation.run("other", [str(study / "python3")], [])


def test_what_fails_on_a_machine_is_told_in_one_line(study: Path) -> None:
    emulation.TRAIN.unlink()
    with pytest.raises(InputError, match=r"^other: error: data/mnist/train.csv: no such file; exp"):
        emulation.run("other", [sys.executable], [str(study / PARAMS)])


def test_too_few_rows_are_an_error(study: Path) -> None:
    write_images(emulation.TRAIN, *draw_images(90))
    expected = r"train\.csv: 90 rows; expected at least 119 for params\.yaml$"
    with pytest.raises(InputError, match=expected):
        emulation.digest(PARAMS)


def test_all_recipes_are_studied_and_one_of_everything() -> None:
    expected = {*(ROOT / "recipes").glob("*.yaml"), ROOT / "tests/long/everything.yaml"}
    assert set(emulation.RECIPES) == expected


def test_everything_that_may_be_on_is_on_in_a_run_on_other_processors() -> None:
    seed, everything = (
        load_recipe(ROOT / name) for name in ("recipes/seed.yaml", "tests/long/everything.yaml")
    )
    # What a study changes by itself.
    aside = {"rows", "widths", "epochs", "batch_size", "seed"}
    for name in Train.model_fields.keys() - aside - {"augment"}:
        assert getattr(everything.train, name) != getattr(seed.train, name), name
    for name in Augment.model_fields:
        assert getattr(everything.train.augment, name) != getattr(seed.train.augment, name), name
    assert everything.train.networks == 3  # no power of two
    assert everything.predict.shift
