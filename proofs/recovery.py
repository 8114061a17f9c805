"""recovery: what would stop DVC's next run, or have it believe damaged bytes, put right.

    python -m proofs.recovery

DVC writes dvc.lock and its list of locks in place: killed at that moment, it leaves a file that it
cannot read. It takes a lock for held as long as any process has the number of the one that took it.
And it never looks into its cache again: bytes that a disk has changed come back as results. Nothing
is done where all is well, but that half-written files go.
"""

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from digits.errors import report
from digits.process import alone
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

LOCKS = Path(".dvc/tmp/rwlock")


def restore_lock() -> None:
    """Put the last commit's dvc.lock in the place of one that was cut short."""
    if not LOCK.exists() or LOCK.read_bytes().endswith(b"\n"):
        return
    LOCK.unlink()
    subprocess.run(["git", "checkout", "--quiet", "HEAD", "--", str(LOCK)], check=False)
    print(f"recovery: {LOCK} was cut short by a run that was killed; it is the last commit's again")


def release_locks() -> None:
    """Remove DVC's list of locks where it cannot be read, or no running DVC holds any of them."""
    if not LOCKS.exists():
        return
    with LOCKS.with_name("rwlock.lock").open("a") as guard:
        try:
            flock(guard, LOCK_EX | LOCK_NB)
        except BlockingIOError:  # a DVC is just writing it
            return
        if not _held(LOCKS.read_bytes()):
            LOCKS.unlink()


def _held(content: bytes) -> bool:
    """Return whether a running DVC is named in the list."""
    try:
        locks = json.loads(content)
        readers = [info for infos in locks.get("read", {}).values() for info in infos]
        numbers = {info["pid"] for info in [*readers, *locks.get("write", {}).values()]}
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return any(_is_dvc(number) for number in numbers)


def _is_dvc(number: int) -> bool:
    try:
        return b"dvc" in Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False


def sweep() -> None:
    """Remove what stages that were killed were writing, unless a stage is running."""
    results = [Path(output.path) for output in _known()]
    folders = {folder for path in results for folder in path.parents}
    try:
        with alone(Path(), wait=False):
            for path in (path for folder in folders for path in folder.glob("*.partial")):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    except BlockingIOError:
        return


def _known() -> list[Output]:
    """Return the outputs that dvc.lock names, if there is one."""
    if not LOCK.exists():
        return []
    return list(outputs(read_lock(LOCK.read_text(encoding="utf-8"))))


def discard_damage() -> None:
    """Remove what the cache holds of the current results with other bytes than their hash says.

    The same bytes in the place of a result go as well, so that DVC builds it again.
    """
    known = _known()
    lists = [(output.path, output.md5) for output in known if output.is_directory]
    contents = [file for output in known for file in files(output, CACHE).items()]
    with ThreadPoolExecutor() as pool:
        for message in filter(None, pool.map(_discard, lists + contents)):
            print(message)


def _discard(file: tuple[str, str]) -> str | None:
    path, md5 = Path(file[0]), file[1]
    damaged = stored(CACHE, md5)
    if not damaged.exists() or is_whole(damaged, md5):
        return None
    if path.is_file() and hash_file(path) == hash_file(damaged):
        path.unlink()
    damaged.unlink()
    return f"recovery: DVC's cache held damaged bytes of {path}; removed, to be built anew"


def main() -> None:
    """Put right whatever is wrong."""
    restore_lock()
    release_locks()
    sweep()
    discard_damage()


if __name__ == "__main__":
    report(main)
