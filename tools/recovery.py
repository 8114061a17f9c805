"""recovery: what would stop DVC's next run, or have it believe damaged bytes, put right.

    python -m tools.recovery

DVC writes dvc.lock and its list of locks in place: killed at that moment, it leaves a file that it
cannot read. And it never looks into its cache again: bytes that a disk has changed come back as
results. Of a missing file of one's own, which nothing can put right, it says what to do.
"""

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from psutil import NoSuchProcess, Process

from digits.errors import InputError, expecting, one_line, run_command
from digits.files import find_partial
from digits.params import PARAMS, Data, load_params, load_yaml
from digits.process import DVC, alone
from stages._inputs import PIPELINE
from tools.project import LOCK, files, find_cache, git, is_whole, outputs, read_lock, stored

BUSY, LOCKS = DVC / "lock", DVC / "rwlock"


def mend_lock() -> None:
    """Put the last commit's dvc.lock in the place of one that is not whole, which is kept aside.

    Raises `InputError` where it cannot be read at all, or a merge has left conflicts in it.
    """
    try:
        read_lock()
        reason = f"{LOCK}: cut short; expected it whole"
        if LOCK.read_bytes().endswith(b"\n"):
            return
    except InputError as error:
        reason = str(error)
    if b"\n<<<<<<< " in LOCK.read_bytes():
        raise InputError(f"{LOCK}: conflicts of a merge; expected them resolved")
    aside = LOCK.replace(DVC / LOCK)
    now = "removed, since no commit has it"
    with suppress(InputError):
        LOCK.write_bytes(git("show", f"HEAD:./{LOCK}"))
        now = "it is the last commit's again"
    print(f"recovery: {reason}; {now}, and the damaged one is {aside}")


def mend_locks() -> None:
    """Remove DVC's list of locks where it cannot be read, or no running DVC holds any of them."""
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        locks = json.loads(LOCKS.read_bytes())
        readers = [info for infos in locks.get("read", {}).values() for info in infos]
        if any(map(_is_running, [*readers, *locks.get("write", {}).values()])):
            return
    LOCKS.unlink()


def _is_running(holder: Mapping[str, Any]) -> bool:
    """Return whether a process has both the number and the command; a number may have passed on."""
    with suppress(NoSuchProcess):
        return holder["cmd"] in " ".join(Process(holder["pid"]).cmdline())
    return False


def mend_cache() -> None:
    """Remove what DVC's cache holds of the known results with other bytes than their hash says.

    Such bytes in the place of a result go as well, so that DVC builds it again.
    """
    cache = find_cache()
    known = [
        (Path(path), md5)
        for output in outputs(read_lock())
        for path, md5 in {output.path: output.md5, **files(output, cache)}.items()
    ]
    copies = [stored(cache, md5) for _, md5 in known]
    with ThreadPoolExecutor() as pool:
        whole = pool.map(is_whole, copies, [md5 for _, md5 in known])
    found = zip(known, copies, whole, strict=True)
    damaged = [(one, copy) for one, copy, fine in found if not fine and copy.exists()]
    for (path, md5), _ in damaged:
        if path.is_file() and not is_whole(path, md5):
            path.unlink()  # which may be a link to the copy
        print(f"recovery: DVC's cache held damaged bytes of {path}; removed, to be built anew")
    for _, copy in damaged:
        copy.unlink(missing_ok=True)


def sweep() -> None:
    """Remove what stages that were killed were writing, unless a stage is running."""
    left = find_partial(Path("models"), "*.checkpoint")
    for path in {place for made in _made() for place in (made, made.parent)}:
        left += find_partial(path.parent, escape(path.name))
    with suppress(Timeout), alone(DVC, wait=False):
        for path in left:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _made() -> list[Path]:
    """Return what the stages make, by dvc.yaml."""
    stages = load_yaml(PIPELINE, "stages")["stages"].values()
    kinds = [stage.get(kind, []) for stage in stages for kind in ("outs", "metrics", "plots")]
    return [Path(out if isinstance(out, str) else min(out)) for outs in kinds for out in outs]


def check_data(data: Data) -> None:
    """Raise `InputError` if a CSV file is not there to be read, and no stage makes it."""
    expected = "a CSV file of images; data/README.md says how to come by one"
    for key, name in (("train", data.train), ("test", data.test)):
        if Path(name) not in _made():
            with expecting(Path(f"{PARAMS}: data.{key} = {name!r}"), expected, ValueError):
                Path(name).open("rb").close()


def main() -> None:
    """Put right what can be, and check the rest."""
    try:
        if DVC.is_dir():  # else no DVC has run here yet
            with suppress(Timeout), FileLock(BUSY, timeout=0):  # as DVC holds it while it writes
                if LOCK.exists():
                    mend_lock()
                with FileLock(f"{LOCKS}.lock", timeout=0):
                    if LOCKS.exists():
                        mend_locks()
            if LOCK.exists():
                mend_cache()
            sweep()
    except OSError as error:
        reason = f"{error.filename or DVC}: {error.strerror or one_line(error)}"
        raise InputError(f"{reason}; expected files that make repro may put right") from None
    check_data(load_params().data)


if __name__ == "__main__":
    run_command(main)
