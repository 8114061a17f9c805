"""What can go wrong while the pipeline runs, done for real: nothing may be lost by it.

    KILLS=50 pytest -m long tests/long/test_faults.py

KILLS says how many runs are killed at random moments.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from subprocess import DEVNULL, TimeoutExpired

import pytest

from digits.network.model import MODEL
from tests.sandbox import Proof, Sandbox, sandbox, snapshot

pytestmark = pytest.mark.long
KILLS = int(os.environ.get("KILLS", "2"))
FORCED = ("dvc", "repro", "--force", "--no-run-cache")


@pytest.fixture(scope="module")
def large() -> Iterator[Proof]:
    """Yield a sandbox whose stages take as long as they do on real images, about."""
    with sandbox(rows=3000, side=28) as made:
        yield made


def restore(box: Sandbox) -> None:
    """Get the previous results back, as docs/troubleshooting.md says."""
    box.run("git", "checkout", "--quiet", "--", ".")
    box.run("dvc", "checkout", "--quiet", "--force")


def check(proof: Proof) -> None:
    """Check that the files are those of the quiet run, and that DVC finds no change."""
    for checkpoint in (proof.box.folder / MODEL).parent.glob("*.checkpoint"):
        checkpoint.unlink()
    assert snapshot(proof.box.folder) == proof.quiet
    assert proof.box.run("dvc", "status") == "Data and pipelines are up to date.\n"


@pytest.mark.parametrize("stage", ["prepare", "train", "evaluate"])
def test_a_full_disk_is_told_in_one_line_and_all_comes_back(large: Proof, stage: str) -> None:
    shell = large.box.folder / ".dvc" / "tmp" / "limited"  # no file may be of over 2000 bytes
    shell.write_text('#!/bin/sh\nexec prlimit --fsize=2000 /bin/sh "$@"\n')
    shell.chmod(0o755)
    ran = large.box.attempt(*FORCED, "--single-item", stage, environment={"SHELL": str(shell)})
    assert ran.returncode != 0
    [line, _] = ran.stderr.splitlines()  # and DVC's own
    assert line.startswith("error: ")
    assert line.endswith("; expected to be able to write it")
    restore(large.box)
    check(large)


@pytest.fixture(scope="module")
def seconds(large: Proof) -> float:
    """Return how long a whole run takes."""
    start = time.monotonic()
    large.box.run(*FORCED)
    return time.monotonic() - start


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_is_killed_is_made_good_by_the_next(
    large: Proof, seconds: float, number: int
) -> None:
    generator = random.Random(number)
    kind = generator.choice([signal.SIGKILL, signal.SIGTERM])
    kill = generator.choice([os.kill, os.killpg])  # DVC alone, or its stage as well
    process = large.box.start(*FORCED, output=DEVNULL)
    with suppress(TimeoutExpired):
        process.wait(timeout=generator.uniform(0, seconds))
    if process.poll() is None:
        kill(process.pid, kind)
        process.wait()  # not for its stage, which the next run must get along with
    large.box.run("python", "-m", "tools", "recover")
    large.box.run("dvc", "repro", *generator.choice([[], ["--no-run-cache"]]))
    check(large)
