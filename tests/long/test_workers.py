"""Networks trained by several workers, of one machine and of two, some of which end meanwhile.

    KILLS=10 pytest -m long tests/long/test_workers.py

KILLS says how many workers are killed during a run.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from digits.network.model import MODEL
from digits.params import PARAMS, as_yaml, load_yaml, overlay
from tests.long.test_emulation import EVERYTHING, NETWORKS, TRAIN, write_inputs
from tests.sandbox import NOTHING, ROOT
from tests.test_pipeline import STAGES

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not TRAIN.exists(), reason="no images: `make repro` fetches them"),
]
KILLS = int(os.environ.get("KILLS", "3"))
FAST = ROOT / "recipes/fast.yaml"
PATIENCE = 200  # seconds
ZOMBIE = psutil.STATUS_ZOMBIE
OUTPUTS = [
    MODEL,
    *(Path(one) for kind in ("metrics", "plots") for item in STAGES["train"][kind] for one in item),
]


def start(folder: Path, workers: int, **variables: str) -> subprocess.Popen[str]:
    own = {"PYTHONPATH": str(ROOT), "DIGITS_DEVICE": "cpu", "DIGITS_WORKERS": str(workers)}
    command = [sys.executable, "-m", "stages", "train"]
    environment = os.environ | own | variables
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True
    )


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        _, told = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, told


def refuse(process: subprocess.Popen[str]) -> str:
    """Return the line that a process ends with."""
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert told.count("\n") == 1, told
    return told.removeprefix("error: ").removesuffix("\n")


def meet(port: int, machine: int, *, least: int = 2) -> dict[str, str]:
    """Return the variables of one of two machines, whose workers meet at a port of the first."""
    conf = f"is_host={int(machine == 0)},last_call_timeout=1,keep_alive_interval=1,read_timeout=9"
    endpoint = {"PET_RDZV_ENDPOINT": f"127.0.0.1:{port}", "PET_RDZV_CONF": conf}
    return {"PET_NNODES": f"{least}:2", **endpoint}


def prepare(recipe: Path, folder: Path, changes: Mapping[str, object] = NOTHING) -> Path:
    """Prepare a short run of a recipe in a new folder."""
    write_inputs(recipe, folder)
    params = overlay(load_yaml(folder / PARAMS, "params"), changes)
    (folder / PARAMS).write_text(as_yaml(params))
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / ".dvc/tmp").mkdir(parents=True)
    command = [sys.executable, "-c", "from stages import prepare; prepare.main()"]
    subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    return folder


def results(folder: Path) -> list[bytes]:
    assert list((folder / MODEL).parent.iterdir()) == [folder / MODEL]
    return [(folder / path).read_bytes() for path in OUTPUTS]


@pytest.mark.parametrize("name", ["one_cycle", "fast", "champion", "ensemble", "everything"])
def test_any_number_of_workers_trains_the_network_of_one_process(name: str, tmp_path: Path) -> None:
    recipe = EVERYTHING if name == "everything" else ROOT / f"recipes/{name}.yaml"
    folder, found = prepare(recipe, tmp_path / "run"), []
    for workers in (1, 2, 3, 5):
        finish(start(folder, workers))
        found.append(results(folder))
    assert hashlib.sha256(found[0][0]).hexdigest() == json.loads(NETWORKS.read_text())[name]
    assert all(one == found[0] for one in found)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing disturbed, long enough for all kills."""
    epochs = {"train.epochs": 100 + 50 * KILLS}
    folder = prepare(FAST, tmp_path_factory.mktemp("long") / "quiet", epochs)
    finish(start(folder, 1))
    return folder


@pytest.fixture
def long_run(quiet: Path, tmp_path: Path) -> Path:
    """Return the folder of such a run that has not begun."""
    folder = shutil.copytree(quiet, tmp_path / "first")
    for path in OUTPUTS:
        (folder / path).unlink()
    return folder


def wait_for_progress(folder: Path, running: subprocess.Popen[str]) -> None:
    """Wait until some epochs are kept that were not before."""
    since, end = time.time(), time.monotonic() + PATIENCE
    while not any(one.stat().st_mtime > since for one in folder.glob("models/*.checkpoint")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.3))


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children()
    return [one for one in children if one.status() != ZOMBIE and "stages" in one.cmdline()]


def test_a_run_whose_workers_are_killed_ends_in_the_same_bytes(long_run: Path, quiet: Path) -> None:
    running = start(long_run, 2, PET_MAX_RESTARTS=str(KILLS))
    for number in range(KILLS):
        wait_for_progress(long_run, running)
        while not (workers := workers_of(running)):
            time.sleep(0.01)
        random.Random(number).choice(workers).kill()
    finish(running)
    assert results(long_run) == results(quiet)


def test_a_worker_that_hangs_is_given_up(long_run: Path, quiet: Path) -> None:
    running = start(long_run, 2, DIGITS_PATIENCE="3")
    wait_for_progress(long_run, running)
    workers_of(running)[1].suspend()
    finish(running)
    assert results(long_run) == results(quiet)


def test_two_machines_come_to_the_same_bytes_though_one_of_them_is_lost(
    long_run: Path, quiet: Path
) -> None:
    second = shutil.copytree(long_run, long_run.with_name("second"))
    folders = enumerate((long_run, second))
    first, other = (start(one, 1, **meet(29471, machine, least=1)) for machine, one in folders)
    wait_for_progress(second, other)
    other.kill()
    other.communicate()
    finish(first)
    assert results(long_run) == results(quiet)


def test_two_machines_write_the_same_bytes_each(tmp_path: Path) -> None:
    folders = [prepare(FAST, tmp_path / name) for name in ("alone", "first", "second")]
    finish(start(folders[0], 1))
    machines = enumerate(folders[1:])
    finish(*(start(folder, 2, **meet(29472, machine)) for machine, folder in machines))
    assert results(folders[0]) == results(folders[1]) == results(folders[2])


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"train.lr": 0.2}, "params.yaml"), ({"prepare.seed": 1}, "data/prepared/digests.json")],
)
def test_workers_with_other_params_or_data_are_told_in_one_line(
    changes: dict[str, object], name: str, tmp_path: Path
) -> None:
    folders = prepare(FAST, tmp_path / "first"), prepare(FAST, tmp_path / "second", changes)
    running = [start(one, 1, **meet(29473, machine)) for machine, one in enumerate(folders)]
    expected = f"worker 1: {name}: not as worker 0 has it; expected the same"
    assert [refuse(one) for one in running] == [expected] * 2


def test_where_none_answers_is_told_in_one_line(tmp_path: Path) -> None:
    told = refuse(start(prepare(FAST, tmp_path / "run"), 2, **meet(29474, 1)))
    assert told == (
        "environment: PET_RDZV_ENDPOINT = '127.0.0.1:29474': no group answers; "
        "expected HOST:PORT of the machine that starts it"
    )


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("PET_NNODES=two", "invalid literal for int() with base 10: 'two'; expected variables PET"),
        ("PET_MAX_RESTARTS=x", "argument --max-restarts/--max_restarts: invalid int value: 'x';"),
        ("PET_RDZV_ENDPOINT=here:x", "The port number of the rendezvous endpoint 'here:x' must be"),
        ("PET_RDZV_CONF=is_host=1,join_timeout=2", "PET_NNODES = '2:2': fewer came in time; exp"),
    ],
)
def test_variables_that_cannot_be_used_are_told_in_one_line(
    variable: str, told: str, tmp_path: Path
) -> None:
    name, _, value = variable.partition("=")
    folder = prepare(FAST, tmp_path / "run")
    line = refuse(start(folder, 1, **{**meet(29475, 0), name: value}))
    assert line.startswith(f"environment: {told}")


def test_several_machines_that_are_not_told_where_to_meet_are_refused(tmp_path: Path) -> None:
    line = refuse(start(prepare(FAST, tmp_path / "run"), 2, PET_NNODES="2"))
    assert line.startswith("environment: PET_NNODES = '2', and no PET_RDZV_ENDPOINT; expected")


def test_a_variable_of_python_reaches_no_worker_of_a_stage_that_reads_none(tmp_path: Path) -> None:
    folder = prepare(FAST, tmp_path / "run")
    for name in ("digits", "stages"):
        (folder / name).symlink_to(ROOT / name)
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("raise SystemExit('another torch')")
    command = [sys.executable, "-E", "-m", "stages", "train"]
    variables = {"PYTHONPATH": str(tmp_path), "DIGITS_WORKERS": "2", "DIGITS_DEVICE": "cpu"}
    subprocess.run(command, cwd=folder, env=os.environ | variables, check=True)


def test_a_second_group_in_a_folder_is_refused(long_run: Path, quiet: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node=2", "-m", "stages", "train"]
    running = start(long_run, 2)
    wait_for_progress(long_run, running)
    variables = os.environ | {"PYTHONPATH": str(ROOT), "DIGITS_DEVICE": "cpu"}
    second = subprocess.run(
        command, cwd=long_run, env=variables, capture_output=True, text=True, check=False
    )
    line = "error: .dvc/tmp/running.lock: another run of a stage in this folder; expected none"
    assert second.returncode != 0
    assert line in second.stderr
    finish(running)
    assert results(long_run) == results(quiet)
