"""recover: what would stop DVC's next run, or have it believe damaged bytes, put right.

DVC writes dvc.lock and its list of locks in place: killed at that moment, it leaves a file that it
cannot read. And it never looks into its cache again, whose bytes a disk may have changed.
"""

import json
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from digits.errors import InputError, expecting
from digits.files import find_partial, remove
from digits.params import PARAMS, Data, load_params
from digits.process import DVC, RUNNING
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
    """Remove DVC's list of locks where it cannot be read; what a killed DVC held, DVC releases."""
    try:
        json.loads(LOCKS.read_bytes())
    except ValueError:
        LOCKS.unlink()


def mend_cache() -> None:
    """Remove what DVC's cache holds of the known results with other bytes than their hash says.

    Such bytes in the place of a result go as well, so that DVC builds it again.
    """
    cache, damaged = find_cache(), []
    for output in outputs(read_lock()):
        for name, md5 in {output.path: output.md5, **files(output, cache)}.items():
            copy = stored(cache, md5)
            if copy.exists() and not is_whole(copy, md5):
                damaged.append((Path(name), md5, copy))
    for path, md5, _ in damaged:
        if path.is_file() and not is_whole(path, md5):
            path.unlink()  # which may be a link to the copy
        print(f"recovery: DVC's cache held damaged bytes of {path}; removed, to be built anew")
    for _, _, copy in damaged:
        copy.unlink(missing_ok=True)


def sweep() -> None:
    """Remove what stages that were killed were writing, here or in a folder of the project."""
    for folder in (Path(), *Path().glob("*/")):
        for path in find_partial(folder):
            remove(path)


def check_data(data: Data) -> None:
    """Raise `InputError` if a CSV file is not there, and is none that `download` makes."""
    expected = "a CSV file of images; data/README.md says how to come by one"
    for key, name in (("train", data.train), ("test", data.test)):
        if not name.startswith("data/mnist/") and not Path(name).is_file():
            raise InputError(f"{PARAMS}: data.{key} = {name!r}: no such file; expected {expected}")


def main() -> None:
    """Put right what can be, unless another DVC is writing, and check the rest."""
    expected = "to be able to put right what a killed run has left"
    with expecting(DVC, expected), suppress(Timeout), FileLock(BUSY, timeout=0):  # as DVC holds it
        if LOCK.exists():
            mend_lock()
        if LOCKS.exists():
            mend_locks()
        if LOCK.exists():
            mend_cache()
        with FileLock(RUNNING, timeout=0):  # no stage is running
            sweep()
    check_data(load_params().data)
