"""What can go wrong while the pipeline runs, done for real: nothing may be lost by it.

    KILLS=50 pytest -m long tests/long/test_faults.py

KILLS says how many runs are killed at random moments.
"""

import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, TimeoutExpired

import pytest

from digits.data.submission import SUBMISSION
from digits.network.model import MODEL
from digits.params import load_yaml
from tests.sandbox import Proof, Sandbox, recorded, sandbox, snapshot
from tools.project import LOCK, find_cache, stored

pytestmark = pytest.mark.long
KILLS = int(os.environ.get("KILLS", "2"))
FORCED = ("dvc", "repro", "--force", "--no-run-cache")
START = 1.0  # seconds that DVC takes before the first stage
# What is edited while a stage runs, so that other results come of it.
EDITS = [
    ("prepare", "params.yaml", "validation: 1000", "validation: 31"),
    ("prepare", "data/mnist/test.csv", "pixel783\n", f"pixel783\n{'0,' * 783}0\n"),
    ("train", "params.yaml", "momentum: 0.9", "momentum: 0.5"),
    ("evaluate", "digits/evaluation/calibration.py", "BINS = 15", "BINS = 14"),
    ("predict", "stages/predict.py", "argmax", "argmin"),
    ("report", "digits/report/web/style.css", "--paper: #ffffff", "--paper: #fffffe"),
]
# Root may write anywhere, unless it gives that up.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
Environment = AbstractContextManager[dict[str, str]]


@pytest.fixture(scope="module")
def large() -> Iterator[Proof]:
    """Yield a sandbox whose stages take as long as they do on real images, about."""
    with sandbox(rows=3000, side=28) as made:
        yield made


def check(proof: Proof) -> None:
    """Check that the files are those of the quiet run, and that DVC finds no change."""
    assert snapshot(proof.box.folder) == proof.quiet
    assert proof.box.run("dvc", "status") == "Data and pipelines are up to date.\n"


@pytest.fixture
def restored(large: Proof) -> Iterator[Proof]:
    """Get the previous results back at the end, as the README says, and check that they are."""
    yield large
    restore(large.box)
    check(large)


def repro(box: Sandbox, *options: str) -> None:
    """Run the pipeline as `make repro` does."""
    box.recover()
    box.run("dvc", "repro", *options)
    for checkpoint in (box.folder / MODEL).parent.glob("*.checkpoint"):
        checkpoint.unlink()


def restore(box: Sandbox) -> None:
    box.run("git", "checkout", "--quiet", "--", ".")
    box.run("dvc", "checkout", "--quiet", "--force")


@contextmanager
def small_disk(proof: Proof) -> Iterator[dict[str, str]]:
    """Have DVC run stages in a shell in which no file may be of over 2000 bytes."""
    shell = proof.box.folder / ".dvc" / "tmp" / "limited"
    shell.write_text('#!/bin/sh\nexec prlimit --fsize=2000 /bin/sh "$@"\n')
    shell.chmod(0o755)
    yield {"SHELL": str(shell)}


@contextmanager
def read_only(proof: Proof) -> Iterator[dict[str, str]]:
    """Take the right to write to models/ away."""
    folder = proof.box.folder / "models"
    folder.chmod(0o555)
    yield {}
    folder.chmod(0o755)


FULL = "expected to be able to write it$"


@pytest.mark.parametrize(
    ("cause", "stage", "line"),
    [
        (small_disk, "prepare", f"^error: data/prepared.*{FULL}"),
        (small_disk, "train", f"^error: models/.*{FULL}"),
        (small_disk, "evaluate", f"^error: data/prob.*{FULL}"),
        (read_only, "train", "Permission denied: .*/models/"),
    ],
)
def test_a_fault_is_told_in_one_line_and_all_comes_back(
    restored: Proof, cause: Callable[[Proof], Environment], stage: str, line: str
) -> None:
    with cause(restored) as environment:
        command = [*UNPRIVILEGED, "dvc", "repro", "--force", "--single-item", stage]
        ran = restored.box.attempt(*command, environment=environment)
    told = ran.stderr.splitlines()
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr
    assert sum(re.search(line, each) is not None for each in told) == 1, told


def test_of_two_runs_at_once_one_ends_well_and_the_other_may_be_told_to_wait(large: Proof) -> None:
    processes = [large.box.start(*FORCED) for _ in range(2)]
    told = [process.communicate()[1] for process in processes]
    refused = [lines for process, lines in zip(processes, told, strict=True) if process.returncode]
    assert len(refused) < 2, refused
    assert all(re.search("is busy|Unable to acquire lock", lines) for lines in refused), refused
    repro(large.box)
    check(large)


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
@pytest.mark.parametrize("path", [SUBMISSION, MODEL], ids=str)
def test_damaged_bytes_in_a_shared_cache_are_found_and_built_again(
    proof: Proof, tmp_path: Path, link: str, path: Path
) -> None:
    box, result = proof.box, proof.box.folder / path
    shutil.copytree(box.folder / ".dvc" / "cache", tmp_path / "shared")
    box.run("dvc", "cache", "dir", "--local", str(tmp_path / "shared"))
    box.run("dvc", "config", "--local", "cache.type", link)
    box.run("dvc", "checkout", "--relink")
    linked = result.is_symlink(), result.stat().st_nlink > 1
    assert linked == (link == "symlink", link == "hardlink")
    kept = stored(find_cache(box.folder), recorded(box.folder, path))
    content = kept.read_bytes()
    kept.chmod(0o644)
    kept.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    kept.chmod(0o444)
    result.unlink()
    restore(box)
    told = box.recover()
    assert told.count("\n") == 1
    assert f"damaged bytes of {path}" in told
    repro(box)
    check(proof)
    (box.folder / ".dvc" / "config.local").unlink()
    box.run("dvc", "checkout", "--relink")


def record(box: Sandbox, stage: str) -> object:
    """Return what dvc.lock says of a stage."""
    return load_yaml(box.folder / LOCK, "a lock file")["stages"].get(stage)


def reproduce(box: Sandbox, stage: str, *options: str) -> object:
    """Have DVC reproduce one stage; return what it records."""
    box.run("dvc", "repro", *options, "--single-item", stage)
    return record(box, stage)


@pytest.mark.parametrize(("stage", "name", "old", "new"), EDITS, ids=lambda part: part[:20])
def test_of_what_is_edited_while_it_is_read_only_what_ran_is_recorded(
    restored: Proof, stage: str, name: str, old: str, new: str
) -> None:
    box, generator = restored.box, random.Random(0)
    before, start = record(box, stage), time.monotonic()
    box.edit(name, old, new)
    after = reproduce(box, stage, "--force", "--no-run-cache")
    seconds = time.monotonic() - start
    for _ in range(2):
        restore(box)
        with box.start(*FORCED, "--single-item", stage, output=DEVNULL):
            time.sleep(generator.uniform(0, seconds))
            box.edit(name, old, new)
        box.recover()
        found = [record(box, stage), reproduce(box, stage)]
        assert found in ([before, after], [after, after], [None, after])


@pytest.fixture(scope="module")
def durations(large: Proof) -> dict[str, float]:
    """Return how many seconds `dvc repro` takes from each stage on, with its own start."""
    starts = {}
    with large.box.start(*FORCED) as process:
        for line in process.stdout or ():
            if found := re.match(r"Running stage '(\w+)'", line):
                starts[found[1]] = time.monotonic()
    return {stage: time.monotonic() - start + START for stage, start in starts.items()}


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_is_killed_is_made_good_by_the_next(
    large: Proof, durations: dict[str, float], number: int
) -> None:
    generator = random.Random(number)
    stage = generator.choice(list(durations))
    kind = generator.choice([signal.SIGKILL, signal.SIGTERM])
    kill = generator.choice([os.kill, os.killpg])  # DVC alone, or its stage as well
    process = large.box.start(*FORCED, "--downstream", stage, output=DEVNULL)
    with suppress(TimeoutExpired):
        process.wait(timeout=generator.uniform(0, durations[stage]))
    if process.poll() is None:
        kill(process.pid, kind)
        process.wait()  # not for its stage, which the next run must get along with
    repro(large.box, *generator.choice([[], ["--no-run-cache"]]))
    check(large)
