"""recovery: what would stop DVC's next run, or have it believe damaged bytes, put right.

    python -m tools.recovery

DVC writes dvc.lock and its list of locks in place: killed at that moment, it leaves a file that it
cannot read. It takes a lock for held as long as any process has the number of the one that took it.
And it never looks into its cache again: bytes that a disk has changed come back as results. Nothing
is done where all is well, but that half-written files go. Of a missing file of one's own, which
nothing can put right, it says what to do.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import partial
from glob import escape
from itertools import chain
from math import inf
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import Any

from psutil import AccessDenied, NoSuchProcess, Process
from ruamel.yaml import YAML

from digits.data.tensors import PREPARED
from digits.errors import InputError, expecting, one_line, run_command
from digits.files import find_partial, replacing
from digits.params import PARAMS, Data, leaves, load_params, load_yaml
from digits.process import alone
from stages._inputs import NOTES, describe_changes, hash_path
from stages.download import MNIST
from tools import project
from tools.project import LOCK, Output, find_cache, git, is_whole, read_lock, stored

BUSY = Path(".dvc/tmp/lock")
LOCKS = Path(".dvc/tmp/rwlock")
MODELS = Path("models")
SOON = 60.0  # seconds in which DVC takes its hashes


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
    """Put the last commit's dvc.lock in the place of one that is not whole, which is kept aside.

    Raises:
        InputError: it cannot be read at all, or a merge has left conflicts in it.
    """
    if not LOCK.is_file() or not (reason := _find_damage(LOCK)):
        return
    if b"\n<<<<<<< " in LOCK.read_bytes():
        raise InputError(f"{LOCK}: conflicts of a merge; expected them resolved")
    aside = BUSY.with_name(f"{LOCK}.{token_hex(4)}")
    LOCK.replace(aside)
    now = "removed, since no commit has it"
    with suppress(InputError):
        LOCK.write_bytes(git("show", f"HEAD:{LOCK}"))
        now = "it is the last commit's again"
    print(f"recovery: {reason}; {now}, and the damaged one is {aside}")


def _find_damage(lock: Path) -> str:
    """Return why a dvc.lock is not whole, and nothing if it is."""
    try:
        read_lock(lock)
    except InputError as error:
        return str(error)
    return "" if lock.read_bytes().endswith(b"\n") else f"{lock}: cut short; expected it whole"


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
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def _is_running(number: int, command: str) -> bool:
    """Return whether the process of that number has that command, as far as one may know."""
    try:
        return command in " ".join(Process(number).cmdline())
    except AccessDenied:
        return True
    except NoSuchProcess:  # or only its number
        return False


def forget_edited(cache: Path) -> None:
    """Remove from dvc.lock, and from the run-cache, what was edited just as its stage had ended.

    A stage leaves a note of what it was made from, and DVC looks a moment later: where it has then
    recorded something else for the same results, that is false, and the stage is to run again.
    """
    files = sorted(NOTES.glob("*.json"), key=_written, reverse=True)
    entries: dict[Path, Any] = {}
    for run in (cache / "runs").glob("*/*/*") if files else ():
        with suppress(InputError):
            if _written(run) >= _written(files[-1]) - 0.1:
                entries[run] = load_yaml(run, "a run")
    later: dict[str, float] = {}  # when a stage left its next note
    for path in files:
        with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
            note, written = json.loads(path.read_bytes()), _written(path)
            until = min(written + SOON, later.get(note["stage"], inf))
            later[note["stage"]] = written
            _forget(note, (written - 0.1, until), entries)
        path.unlink()


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _forget(note: Mapping[str, Any], span: tuple[float, float], entries: dict[Path, Any]) -> None:
    """Remove what DVC recorded of a run soon after its note, if that says something else.

    Args:
        note: of a run of a stage.
        span: from when on, and until when, DVC can have recorded that run.
        entries: of the run-cache, by their files; what is removed goes from here as well.
    """

    def is_false(entry: Mapping[str, Any]) -> bool:
        made = {out["path"]: out["md5"] for out in entry["outs"] if out["path"] in note["outputs"]}
        return bool(made) and made == note["outputs"] and bool(_find_changes(note, entry))

    stage, path, forgotten = note["stage"], Path(project.check_inside(note["lock"])), []
    soon = [run for run in entries if span[0] <= _written(run) < span[1]]
    for run in [run for run in soon if is_false(entries[run])]:
        forgotten.append(entries.pop(run))
        run.unlink()
    if not path.exists() or not (forgotten or span[0] <= _written(path) < span[1]):
        return
    lock = read_lock(path)
    entry = lock["stages"].get(stage)
    if entry and (entry in forgotten or is_false(entry)):
        changes = _find_changes(note, entry)
        del lock["stages"][stage]
        with replacing(path) as temporary:
            YAML().dump(lock, temporary)
        print(f"recovery: {changes}, edited as it ended: {stage} is to run again")


def _find_changes(note: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """Return how what DVC has recorded differs from a note, but for what only DVC may ignore."""
    before, after = (
        {name: value for name, value in one.items() if not str(value).endswith(".dir")}
        for one in (note["inputs"], _inputs(entry))
    )
    return describe_changes(before, after, f"when {note['stage']} ran")


def _inputs(entry: Mapping[str, Any]) -> dict[str, object]:
    """Return what a stage was made from, as `stages._inputs.Inputs` names it."""
    params = (
        leaves(f"{file}: {key}", value)
        for file, values in entry.get("params", {}).items()
        for key, value in values.items()
    )
    hashes = {dep["path"]: dep.get("md5") for dep in entry.get("deps", [])}
    return dict(chain.from_iterable(params)) | hashes


def sweep(known: Sequence[Output]) -> None:
    """Remove what stages that were killed were writing, unless a stage is running."""
    written = [MNIST, PREPARED, *(Path(output.path) for output in known)]
    left = find_partial(MODELS, "*.checkpoint")
    for path in written:
        left += find_partial(path.parent, escape(path.name))
    with suppress(OSError), alone(Path(), wait=False):
        for path in filter(_lies_inside, left):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _lies_inside(path: Path) -> bool:
    """Return whether it is the project, and not where a link leads, that a path is in."""
    return path.parent.resolve().is_relative_to(Path.cwd())


def _known() -> list[Output]:
    """Return the outputs that dvc.lock names, if there is one."""
    return list(project.outputs(read_lock())) if LOCK.exists() else []


def discard_damage(known: Sequence[Output], cache: Path) -> None:
    """Remove what the cache holds of the known results with other bytes than their hash says.

    The same bytes in the place of a result go as well, so that DVC builds it again.
    """
    paths: dict[str, list[Path]] = {}
    for output in known:
        entries = project.files(output, cache)
        if output.md5.endswith(".dir"):
            entries[output.path] = output.md5
        for path, md5 in entries.items():
            paths.setdefault(md5, []).append(Path(path))
    with ThreadPoolExecutor() as pool:
        told = pool.map(partial(_discard, cache), paths, paths.values())
        for message in filter(None, told):
            print(message)


def _discard(cache: Path, md5: str, paths: list[Path]) -> str | None:
    damaged = stored(cache, md5)
    if not damaged.exists() or is_whole(damaged, md5):
        return None
    content = hash_path(damaged)
    for path in paths:
        if path.is_file() and hash_path(path) == content and _lies_inside(path):
            path.unlink()
    damaged.unlink()
    names = ", ".join(map(str, paths))
    return f"recovery: DVC's cache held damaged bytes of {names}; removed, to be built anew"


def recover() -> None:
    """Put right whatever a run has left wrong.

    Raises:
        InputError: that may not be done, or cannot.
    """
    try:
        if not BUSY.parent.is_dir():  # no DVC has run here yet
            return
        cache = find_cache()
        with _locked(BUSY) as mine:
            if mine:  # and so no DVC is writing either file
                restore_lock()
                release_locks()
                forget_edited(cache)
        known = _known()
        sweep(known)
        discard_damage(known, cache)
    except OSError as error:
        reason = f"{error.filename or BUSY.parent}: {error.strerror or one_line(error)}"
        raise InputError(f"{reason}; expected files that make repro may put right") from None


def check_data(data: Data) -> None:
    """Check that the CSV files can be read to an end, as DVC will, and are there but for MNIST's.

    Raises:
        InputError: one is missing, may not be read, or is a device, a pipe or a folder.
    """
    expected = "a CSV file of images; data/README.md says how to come by one"
    for key, name in (("train", data.train), ("test", data.test)):
        path, told = Path(name), Path(f"{PARAMS}: data.{key} = {name!r}")
        made = suppress(FileNotFoundError) if MNIST in path.parents else nullcontext()
        with expecting(told, expected, ValueError), made:
            if not S_ISREG(path.stat().st_mode):
                raise ValueError("no regular file")
            path.open("rb").close()


def main() -> None:
    """Put right what can be, and check the rest."""
    recover()
    check_data(load_params().data)


if __name__ == "__main__":
    run_command(main)
