"""recovery: what would stop DVC's next run, or have it believe damaged bytes, put right.

    python -m proofs.recovery

DVC writes dvc.lock and its list of locks in place: killed at that moment, it leaves a file that it
cannot read. It takes a lock for held as long as any process has the number of the one that took it.
And it never looks into its cache again: bytes that a disk has changed come back as results. Nothing
is done where all is well, but that half-written files go. Of a missing file of one's own, which
nothing can put right, it says what to do.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from digits.errors import InputError, report
from digits.params import PARAMS, Data, load_params
from digits.process import alone
from digits.tensors import PREPARED
from proofs.ledger import (
    CACHE,
    LOCK,
    Output,
    files,
    hash_file,
    is_whole,
    outputs,
    read_lock,
    stored,
)
from stages.download import MNIST

BUSY = Path(".dvc/tmp/lock")
LOCKS = Path(".dvc/tmp/rwlock")


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock a file as DVC does, and yield whether it could be had."""
    with path.open("a") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def restore_lock() -> None:
    """Put the last commit's dvc.lock in the place of one that was cut short.

    Raises:
        InputError: a merge has left conflicts in it.
    """
    if not LOCK.exists() or _is_whole_lock():
        return
    if b"\n<<<<<<< " in LOCK.read_bytes():
        raise InputError(f"{LOCK}: conflicts of a merge; expected them resolved")
    LOCK.unlink()
    command = ["git", "checkout", "--quiet", "HEAD", "--", str(LOCK)]
    ran = subprocess.run(command, capture_output=True, check=False)
    now = "removed, since no commit has it" if ran.returncode else "it is the last commit's again"
    print(f"recovery: {LOCK} was cut short by a run that was killed; {now}")


def _is_whole_lock() -> bool:
    text = LOCK.read_text(encoding="utf-8")
    try:
        read_lock(text)
    except InputError:
        return False
    return text.endswith("\n")


def release_locks() -> None:
    """Remove DVC's list of locks where it cannot be read, or no running DVC holds any of them."""
    with _locked(LOCKS.with_name("rwlock.lock")) as mine:
        if mine and LOCKS.exists() and not _held(LOCKS.read_bytes()):
            LOCKS.unlink()


def _held(content: bytes) -> bool:
    """Return whether a running DVC is named in the list."""
    try:
        locks = json.loads(content)
        readers = [info for infos in locks.get("read", {}).values() for info in infos]
        holders = [*readers, *locks.get("write", {}).values()]
        return any(_is_running(info["pid"], info["cmd"]) for info in holders)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _is_running(number: int, command: str) -> bool:
    """Return whether the process of that number has that command, as far as one may know."""
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return command.encode() in b" ".join(words)


def sweep(known: Sequence[Output]) -> None:
    """Remove what stages that were killed were writing, unless a stage is running."""
    written = [PREPARED, *(Path(output.path) for output in known)]
    left = {path.with_name(f"{path.name}.partial") for path in written}
    left |= set(Path("models").glob("*.checkpoint.partial"))
    with suppress(OSError), alone(Path(), wait=False):
        for path in left:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _known() -> list[Output]:
    """Return the outputs that dvc.lock names, if there is one."""
    if not LOCK.exists():
        return []
    return list(outputs(read_lock(LOCK.read_text(encoding="utf-8"))))


def discard_damage(known: Sequence[Output]) -> None:
    """Remove what the cache holds of the known results with other bytes than their hash says.

    The same bytes in the place of a result go as well, so that DVC builds it again.
    """
    paths: dict[str, list[Path]] = {}
    for output in known:
        entries = files(output, CACHE)
        if output.is_directory:
            entries[output.path] = output.md5
        for path, md5 in entries.items():
            paths.setdefault(md5, []).append(Path(path))
    with ThreadPoolExecutor() as pool:
        for message in filter(None, pool.map(_discard, paths, paths.values())):
            print(message)


def _discard(md5: str, paths: list[Path]) -> str | None:
    damaged = stored(CACHE, md5)
    if not damaged.exists() or is_whole(damaged, md5):
        return None
    for path in paths:
        if path.is_file() and hash_file(path) == hash_file(damaged):
            path.unlink()
    damaged.unlink()
    names = ", ".join(map(str, paths))
    return f"recovery: DVC's cache held damaged bytes of {names}; removed, to be built anew"


def recover() -> None:
    """Put right whatever a run has left wrong."""
    with _locked(BUSY) as mine:
        if mine:  # and so no DVC is writing either file
            restore_lock()
            release_locks()
    known = _known()
    sweep(known)
    discard_damage(known)


def check_data(data: Data) -> None:
    """Check that the CSV files are there that no stage makes.

    Raises:
        InputError: one is missing.
    """
    for key, name in (("train", data.train), ("test", data.test)):
        if MNIST not in Path(name).parents and not Path(name).exists():
            expected = "a CSV file of images; data/README.md says how to come by one"
            raise InputError(f"{PARAMS}: data.{key} = {name!r}: no such file; expected {expected}")


def main() -> None:
    """Put right what can be, and check the rest."""
    if BUSY.parent.is_dir():  # else no DVC has run here yet
        recover()
    check_data(load_params().data)


if __name__ == "__main__":
    report(main)
