"""What dvc.lock says of every output, and where DVC's cache keeps its bytes.

    python -m tools.ledger REV

prints the commit of a revision, if its results and those here are of their own params and code.
"""

import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError

from digits.errors import InputError, one_line, run_command
from digits.params import check, leaves, load_yaml
from stages._inputs import describe_changes, hash_path, hash_paths, read_params
from tools.repository import files_of, find_commit

LOCK = Path("dvc.lock")
JUDGED = ("prepare", "train", "evaluate", "predict")  # what a network is compared by
_DIRECTORY = ".dir"

Lock = Mapping[str, Any]


def _check_hash(md5: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}(\.dir)?", md5):
        raise ValueError("expected 32 hexadecimal digits")
    return md5


def check_inside(path: str) -> str:
    """Return a path, or raise ValueError where it is none inside the project."""
    if not is_inside(path):
        raise ValueError("expected a path inside the project")
    return path


def is_inside(path: str) -> bool:
    """Return whether a path, as it is written, lies inside the project."""
    return bool(path) and not PurePath(path).is_absolute() and ".." not in PurePath(path).parts


Hash = Annotated[str, AfterValidator(_check_hash)]
Inside = Annotated[str, AfterValidator(check_inside)]


class _Dependency(BaseModel, strict=True):
    path: str
    md5: Hash | None = None


class _Out(BaseModel, strict=True):
    path: Inside
    md5: Hash


class _Listed(BaseModel, strict=True):
    relpath: Inside
    md5: Hash


class _Stage(BaseModel, strict=True):
    deps: list[_Dependency] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[_Out] = []


class _Lock(BaseModel, strict=True):
    stages: dict[str, _Stage]


@dataclass(frozen=True)
class Output:
    """An output of a stage.

    Attributes:
        stage: its name.
        path: a file or a directory, inside the project.
        md5: of the file; of a directory, of the list of its files, and then ".dir".
    """

    stage: str
    path: str
    md5: str

    @property
    def is_directory(self) -> bool:
        """Whether the output is a directory."""
        return self.md5.endswith(_DIRECTORY)


def read_lock(path: Path = LOCK, name: str = "") -> Lock:
    """Return the content of a dvc.lock, which is called `name` in errors.

    Raises:
        InputError: it is missing or not whole, or holds what DVC does not write.
    """
    lock: Lock = load_yaml(path, "what DVC writes, whole", name)
    check(Path(name or path), _Lock, lock)
    return lock


def outputs(lock: Lock) -> Iterator[Output]:
    """Yield the outputs of all stages, in the order of dvc.lock."""
    for stage, entry in lock["stages"].items():
        for out in entry.get("outs", []):
            yield Output(stage, out["path"], out["md5"])


def inputs(entry: Mapping[str, Any]) -> dict[str, object]:
    """Return what a stage was made from, as `stages._inputs.Inputs` names it."""
    params = (
        leaves(f"{file}: {key}", value)
        for file, values in entry.get("params", {}).items()
        for key, value in values.items()
    )
    hashes = {dep["path"]: dep.get("md5") for dep in entry.get("deps", [])}
    return dict(chain.from_iterable(params)) | hashes


def read_recorded(folder: Path, name: str, stages: Collection[str] = ()) -> Lock:
    """Return the dvc.lock in `folder`, the files of a revision, or of the working tree.

    Args:
        folder: whose params and code must be those that its dvc.lock tells of.
        name: of the revision, for messages.
        stages: those that are looked at, or none for all.

    Raises:
        InputError: they are others, or dvc.lock is not whole.
    """
    lock = read_lock(folder / LOCK, f"{name}:{LOCK}")
    made = {output.path for output in outputs(lock)}
    for stage, entry in lock["stages"].items():
        if stages and stage not in stages:
            continue
        before = inputs(entry)
        held = (one for one in before if one not in made and ": " not in one and is_inside(one))
        now = hash_paths((one for one in held if (folder / one).exists()), folder)
        for file, keys in entry.get("params", {}).items():
            now |= read_params(folder, file, keys)
        before = {key: value for key, value in before.items() if key in now or ": " in key}
        if changes := describe_changes(before, now, "in its dvc.lock"):
            raise InputError(
                f"{name}: {changes}: its results were made without that; expected them to be of "
                "its own params and code: make repro, then commit what that changes"
            )
    return lock


def check_both(revision: str) -> str:
    """Return the commit of a revision; see `read_recorded` for what it and the working tree are."""
    commit = find_commit(revision)
    for name, one in ((revision, commit), ("the working tree", None)):
        with files_of(one) as folder:
            read_recorded(folder, name, JUDGED)
    return commit


def find_cache(folder: Path = Path()) -> Path:
    """Return where DVC keeps what the stages of a project made.

    Raises:
        InputError: DVC does not say; the message is its own.
    """
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise InputError(f"dvc cache dir: {' '.join(ran.stderr.split())}; expected a folder")
    return folder / ran.stdout.strip()


def stored(cache: Path, md5: str) -> Path:
    """Return where the cache keeps the bytes with that hash, if it has them."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def files(output: Output, cache: Path) -> dict[str, str]:
    """Return the hash of each file of an output; of a directory, as far as the cache lists them."""
    if not output.is_directory:
        return {output.path: output.md5}
    listing = stored(cache, output.md5)
    if not is_whole(listing, output.md5):
        return {}
    try:
        entries = TypeAdapter(list[_Listed]).validate_json(listing.read_bytes())
    except ValidationError as error:
        raise InputError(f"{listing}: {one_line(error)}; expected what DVC writes") from None
    return {f"{output.path}/{entry.relpath}": entry.md5 for entry in entries}


def is_whole(path: Path, md5: str) -> bool:
    """Return whether there is a file, and its bytes have that hash."""
    return path.is_file() and hash_path(path) == md5.removesuffix(_DIRECTORY)


if __name__ == "__main__":
    run_command(lambda: print(check_both(sys.argv[1])))
