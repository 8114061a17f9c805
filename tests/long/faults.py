"""faults: what can go wrong while the pipeline runs, done for real; nothing may be lost by it.

    python -m tests.long.faults --kills 50

Works in a copy of the project with synthetic images. Disks are full, a folder cannot be written, a
download is damaged, two runs start at once, and the cache is corrupted: each must be told in one
line, and what was there before must come back with `git checkout` and `dvc checkout`. Then
params, code and CSV files are edited at random moments: DVC may record only what ran. Then
`dvc repro` is killed at random moments and run again, and must end in the bytes of a quiet run,
without a stray file. Last, the training of params.yaml on the real data, as `dvc repro` prepared
them, is killed three times, and must end in the network of dvc.lock.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryDirectory

from digits.data.tensors import PREPARED
from digits.errors import InputError, run_command
from digits.network.model import MODEL
from digits.params import PARAMS, load_params
from stages._inputs import hash_path
from tests.sandbox import ROOT, Sandbox, sandbox
from tools.project import LOCK, find_cache, is_whole, outputs, read_lock, stored

STATISTICS = PREPARED / "statistics.json"
START = 1.0  # seconds that DVC takes before the first stage
TEST, LAST_CELL = "data/mnist/test.csv", r"\d+(?=\n\Z)"
# What is edited while a stage runs, so that other results come of it.
EDITS = (
    ("download", str(PARAMS), r"(?<=download:\n  seed: )0", "1"),
    (
        "download",
        "stages/download.py",
        r"permutation\(len\(labels\)\)",
        r"permutation(len(labels))[::-1]",
    ),
    ("prepare", str(PARAMS), r"(?<=prepare:\n  validation: )\d+", "31"),
    ("prepare", "digits/data/split.py", r"\[:share\]", "[-share:]"),
    ("prepare", TEST, LAST_CELL, "150"),
    ("train", str(PARAMS), r"(?<=momentum: )0.9", "0.5"),
    ("train", "digits/network/schedule.py", r"return params.lr\n", "return params.lr / 2\n"),
    ("evaluate", str(PARAMS), r"(?<=gallery: )60", "9"),
    ("evaluate", "digits/evaluation/calibration.py", "BINS = 15", "BINS = 14"),
    ("predict", str(PARAMS), r"(?<=predict:\n  shift: )0", "1"),
    ("predict", "stages/predict.py", "argmax", "argmin"),
    ("score", "stages/score.py", "predicted != truth", "predicted == truth"),
    ("score", TEST, LAST_CELL, "150"),
    ("report", str(PARAMS), r"(?<=download:\n  seed: )0", "1"),
    ("report", "stages/report.py", '"What the network gets wrong"', '"What it gets wrong"'),
)
# Run by DVC in the place of the shell: a limit on the size of files that holds for the stage alone.
LIMITED_SHELL = '#!/bin/sh\nexec prlimit --fsize={limit} /bin/sh "$@"\n'
# Root may write anywhere, unless it gives that up.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()


def snapshot(folder: Path) -> dict[str, str]:
    """Return the hash of every file but those that Git, DVC and Python keep for themselves."""
    kept = {".git", ".dvc", "__pycache__"}
    paths = (path for path in folder.rglob("*") if not kept & set(path.parts))
    return {str(path.relative_to(folder)): hash_path(path) for path in paths if path.is_file()}


class Proof:
    """A sandbox after a quiet run, and what was tried in it.

    Attributes:
        box: the sandbox.
        quiet: the files that the quiet run led to, and their hashes.
        kills: how many runs were killed.
        faults: how many other faults there were.
        comparisons: how often all files were compared with `quiet`.
    """

    def __init__(self, box: Sandbox) -> None:
        """Run the pipeline in `box`, and commit what it leads to."""
        box.run("dvc", "repro")
        box.commit("Record a quiet run")
        self.box = box
        self.quiet = snapshot(box.folder)
        self.kills = self.faults = self.comparisons = 0

    def compare(self, after: str) -> None:
        """Raise an error unless the files are those of the quiet run."""
        found = snapshot(self.box.folder)
        names = sorted(found.keys() | self.quiet.keys())
        differing = [name for name in names if found.get(name) != self.quiet.get(name)]
        if differing:
            raise InputError(f"after {after}: {differing}; expected the files of a quiet run")
        if self.box.run("dvc", "status") != "Data and pipelines are up to date.\n":
            raise InputError(f"after {after}: DVC finds changes; expected none")
        self.comparisons += 1

    def repro(self, *options: str) -> None:
        """Run the pipeline as `make repro` does."""
        self.box.run("python", "-m", "tools", "recover")
        self.box.run("dvc", "repro", *options)
        for checkpoint in (self.box.folder / MODEL).parent.glob("*.checkpoint"):
            checkpoint.unlink()

    def restore(self) -> None:
        """Get the previous results back, as the README says."""
        self.box.run("git", "checkout", "--quiet", "--", "dvc.lock", "metrics", "models", "plots")
        self.box.run("dvc", "checkout", "--quiet", "--force")


def recorded(folder: Path, path: Path) -> str:
    """Return the hash of an output in the dvc.lock of `folder`."""
    lock = read_lock(folder / LOCK)
    [md5] = [output.md5 for output in outputs(lock) if output.path == str(path)]
    return md5


def measure_stages(box: Sandbox) -> dict[str, float]:
    """Return how many seconds `dvc repro` takes from each stage on, with its own start."""
    starts = {}
    with box.start("dvc", "repro", "--force", "--no-run-cache") as process:
        for line in process.stdout or ():
            if found := re.match(r"Running stage '(\w+)'", line):
                starts[found[1]] = time.monotonic()
    return {stage: time.monotonic() - start + START for stage, start in starts.items()}


def kill_runs(proof: Proof, kills: int, seconds: Mapping[str, float], seed: int) -> None:
    """Kill runs at random moments, each followed by another run that must end as a quiet one.

    Args:
        proof: the sandbox.
        kills: how many.
        seconds: how long a run from each of these stages on may go before it is killed.
        seed: of the moments.
    """
    generator = random.Random(seed)
    while proof.kills < kills:
        stage = generator.choice(list(seconds))
        if words := kill_one(proof, stage, generator.uniform(0, seconds[stage]), generator):
            proof.repro(*generator.choice([[], ["--no-run-cache"]]))
            proof.compare(words)
            print(f"kill {proof.kills:3}: {words}: the same bytes", flush=True)


def kill_one(proof: Proof, stage: str, delay: float, generator: random.Random) -> str | None:
    """Kill a run from `stage` on after `delay` seconds, one way or another; say how, if it did."""
    kind = generator.choice([signal.SIGKILL, signal.SIGTERM])
    whom, kill = generator.choice([("DVC alone", os.kill), ("DVC and its stage", os.killpg)])
    command = ("dvc", "repro", "--force", "--no-run-cache", "--downstream", stage)
    process = proof.box.start(*command, output=subprocess.DEVNULL)
    try:
        process.wait(timeout=delay)
    except TimeoutExpired:
        kill(process.pid, kind)
        process.wait()  # not for its stage, which the next run must get along with
        proof.kills += 1
        return f"{kind.name} to {whom}, {delay:.2f} s from {stage}"
    return None


def edit_runs(proof: Proof, edits: int, seed: int) -> None:
    """Edit what a stage reads at random moments while it runs: DVC may record only what ran.

    Args:
        proof: the sandbox.
        edits: how many of each of `EDITS`.
        seed: of the moments.
    """
    generator = random.Random(seed)
    for stage, *change in EDITS:
        words = f"{change[0]} edited while {stage} runs"
        before, start = record(proof.box, stage), time.monotonic()
        proof.box.edit(*change)
        after = reproduce(proof.box, stage, "--force", "--no-run-cache")
        seconds = time.monotonic() - start
        for _ in range(edits):
            found = edit_one(proof, stage, change, generator.uniform(0, seconds))
            if found not in ([before, after], [after, after], [None, after]):
                raise InputError(f"{words}: {found} recorded; expected {before}, or {after}")
        proof.box.run("git", "checkout", "--quiet", "--", ".")
        proof.restore()
        proof.compare(words)
        print(f"{words}: {edits} times recorded as it ran", flush=True)


def edit_one(proof: Proof, stage: str, change: Sequence[str], delay: float) -> list[object]:
    """Edit a file some seconds after a run began; return what DVC has recorded then, and next."""
    proof.box.run("git", "checkout", "--quiet", "--", ".")
    proof.restore()
    command = ("dvc", "repro", "--force", "--no-run-cache", "--single-item", stage)
    with proof.box.start(*command, output=subprocess.DEVNULL):
        time.sleep(delay)
        proof.box.edit(*change)
    proof.box.run("python", "-m", "tools", "recover")
    return [record(proof.box, stage), reproduce(proof.box, stage)]


def reproduce(box: Sandbox, stage: str, *options: str) -> object:
    """Have DVC reproduce one stage; return what it records."""
    box.run("dvc", "repro", *options, "--single-item", stage)
    return record(box, stage)


def record(box: Sandbox, stage: str) -> object:
    """Return what dvc.lock says of a stage."""
    return read_lock(box.folder / LOCK)["stages"].get(stage)


def check_real_results() -> list[int]:
    """Return after which epochs to kill the training of params.yaml; its results must be there.

    Raises:
        InputError: data/prepared is not what dvc.lock says.
    """
    if not is_whole(ROOT / STATISTICS, recorded(ROOT, STATISTICS)):
        raise InputError(f"{STATISTICS}: not as in dvc.lock; expected it: run make repro first")
    epochs = load_params(ROOT / PARAMS).train.epochs
    return sorted({1, (epochs + 1) // 2, max(1, epochs - 1)})


def resume_recipe(proof: Proof, epochs: Sequence[int]) -> None:
    """Kill a training of params.yaml on the real data after each of `epochs`; it must go on.

    Reads data/prepared as `dvc repro` left it, and dvc.lock; the network is made elsewhere.
    """
    words = f"a training of params.yaml, killed after the epochs {', '.join(map(str, epochs))}"
    command = [sys.executable, "-m", "stages", "train"]
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("data", "digits", "stages", PARAMS):
            (folder / part).symlink_to(ROOT / part)
        for epoch in epochs:
            with subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE, text=True
            ) as process:
                for line in process.stdout or ():
                    if line.split()[0] == str(epoch):
                        process.kill()
                        proof.kills += 1
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        made = sorted((folder / "models").iterdir())
        if made != [folder / MODEL] or not is_whole(folder / MODEL, recorded(ROOT, MODEL)):
            names = [path.name for path in made]
            raise InputError(f"{words} made {names}; expected {MODEL} alone, as in dvc.lock")
    proof.comparisons += 1
    print(f"{words}: {MODEL} as in dvc.lock", flush=True)


@contextmanager
def small_disk(proof: Proof, limit: int) -> Iterator[dict[str, str]]:
    """Yield an environment in which a stage cannot write a file of over `limit` bytes."""
    shell = proof.box.folder / ".dvc" / "tmp" / "limited"
    shell.write_text(LIMITED_SHELL.format(limit=limit))
    shell.chmod(0o755)
    yield {"SHELL": str(shell)}


@contextmanager
def read_only(folder: Path) -> Iterator[dict[str, str]]:
    """Take the right to write to `folder` away."""
    folder.chmod(0o555)
    try:
        yield {}
    finally:
        folder.chmod(0o755)


@contextmanager
def damaged(mirror: Path, change: Callable[[Path], None]) -> Iterator[dict[str, str]]:
    """Do something to a file of the mirror."""
    path = mirror / "train-images-idx3-ubyte.gz"
    content = path.read_bytes()
    change(path)
    try:
        yield {}
    finally:
        path.unlink()
        path.write_bytes(content)


def truncate(path: Path) -> None:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def alter(path: Path) -> None:
    """Replace a gzipped file by another."""
    path.write_bytes((path.parent / "train-labels-idx1-ubyte.gz").read_bytes())


def stall(path: Path) -> None:
    """Put a pipe in the place of a file: the server waits for its bytes, and its client too."""
    path.unlink()
    os.mkfifo(path)


def suffer(
    proof: Proof, name: str, cause: AbstractContextManager[dict[str, str]], stage: str, line: str
) -> None:
    """Run a stage under `cause`: it must fail with one line, and its results come back."""
    with cause as environment:
        command = [*UNPRIVILEGED, "dvc", "repro", "--force", "--single-item", stage]
        ran = proof.box.attempt(*command, environment=environment)
    told = ran.stderr.splitlines()
    if ran.returncode == 0 or "Traceback" in ran.stderr:
        raise InputError(f"{name}: status {ran.returncode}: {told[-1:]}; expected an error line")
    if sum(re.search(line, each) is not None for each in told) != 1:
        raise InputError(f"{name}: {told}; expected one line with {line!r}")
    proof.restore()
    proof.compare(name)
    proof.faults += 1
    print(f"fault: {name}: told in one line, and all came back", flush=True)


def run_two_at_once(proof: Proof) -> None:
    """Start two runs: one at least must end well, the other may be told that files are in use."""
    command = ("dvc", "repro", "--force", "--no-run-cache")
    processes = [proof.box.start(*command) for _ in range(2)]
    told = [process.communicate()[1] for process in processes]
    refused = [lines for process, lines in zip(processes, told, strict=True) if process.returncode]
    if len(refused) == 2 or not all(
        re.search("is busy|Unable to acquire lock", lines) for lines in refused
    ):
        raise InputError(f"two runs at once: {refused}; expected one to succeed, one to be busy")
    proof.repro()
    proof.compare("two runs at once")
    proof.faults += 1
    print("fault: two runs at once: the same bytes", flush=True)


def corrupt_cache(proof: Proof, path: Path) -> None:
    """Change a bit of a result in DVC's cache, take the result away, and have it come back."""
    folder = proof.box.folder
    kept = stored(find_cache(folder), recorded(folder, path))
    content = kept.read_bytes()
    kept.chmod(0o644)
    kept.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    kept.chmod(0o444)
    (folder / path).unlink()
    proof.restore()
    told = proof.box.run("python", "-m", "tools", "recover")
    if told.count("\n") != 1 or f"damaged bytes of {path}" not in told:
        raise InputError(f"corrupted cache: {told!r}; expected a line that names {path}")
    proof.repro()
    proof.compare("a corrupted cache")
    proof.faults += 1
    print(f"fault: {path} corrupted in the cache: told in one line, and built again", flush=True)


def suffer_all(proof: Proof) -> None:
    """Bring about every fault in turn."""
    for stage, written in (
        ("prepare", "data/prepared"),
        ("train", "models/"),
        ("evaluate", "plots/"),
    ):
        line = rf"^error: {written}.*: File too large; expected to be able to write it$"
        suffer(proof, f"disk full in {stage}", small_disk(proof, 2000), stage, line)
    models = proof.box.folder / "models"
    suffer(proof, "models/ read-only", read_only(models), "train", "Permission denied: .*/models/")
    for name, change, reason in (
        ("truncated", truncate, "Compressed file ended"),
        ("altered", alter, "has the SHA-256"),
        ("stalled", stall, "timed out"),
    ):
        line = rf"^error: MNIST could not be downloaded; tried .*{reason}"
        cause = damaged(proof.box.mirror, change)
        suffer(proof, f"a download {name}", cause, "download", line)
    corrupt_cache(proof, MODEL)
    run_two_at_once(proof)


def main() -> None:
    """Run the proof."""
    parser = ArgumentParser(description="Kill the pipeline and break what it stands on.")
    parser.add_argument("--kills", type=int, default=50, help="how many runs to kill")
    parser.add_argument("--edits", type=int, default=2, help="of each file of each stage")
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which to kill")
    arguments = parser.parse_args()
    epochs = check_real_results()
    with sandbox(rows=3000, side=28) as box:
        proof = Proof(box)
        suffer_all(proof)
        edit_runs(proof, arguments.edits, arguments.seed)
        kill_runs(proof, arguments.kills, measure_stages(box), arguments.seed)
    resume_recipe(proof, epochs)
    print(
        f"nothing lost: {proof.kills} kills, {proof.faults} faults, "
        f"{proof.comparisons} comparisons of {len(proof.quiet)} files"
    )


if __name__ == "__main__":
    run_command(main)
