"""The project as Git and DVC keep it: its revisions, dvc.lock, and the cache with its bytes."""

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

from dvc.config import Config, ConfigError
from pydantic import AfterValidator, BaseModel, Field

from digits.errors import InputError, one_line
from digits.params import check, leaves, load_yaml
from stages._inputs import describe_changes, hash_path, read_params

LOCK = Path("dvc.lock")
JUDGED = ("prepare", "train", "evaluate", "predict")  # what a network is compared by
WORKING_TREE = "workspace"  # as DVC calls it

Lock = Mapping[str, Any]


def git(*arguments: str, folder: Path = Path()) -> bytes:
    """Return what a Git command prints; an InputError has what Git says if it refuses."""
    try:
        ran = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except FileNotFoundError:
        raise InputError("git: no such program; expected Git, and the project in a clone") from None
    if ran.returncode != 0:
        raise InputError(" ".join(ran.stderr.decode(errors="replace").split()))
    return ran.stdout


def find_commit(revision: str) -> str:
    """Return the full hash of the commit that a revision, or an experiment of DVC, names."""
    try:
        found = git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except InputError:
        experiments = f"refs/exps/*/*/{revision or 'none'}"
        found = git("for-each-ref", "--format=%(objectname)", experiments)
        if len(found.split()) != 1:
            told = "no revision of that name; expected a commit, branch or tag, or one experiment,"
            deeper = "of this repository (git fetch --unshallow gets what a shallow clone lacks)"
            raise InputError(f"{revision}: {told} {deeper}") from None
    return found.decode().strip()


def find_changed(commit: str, *folders: str) -> list[Path]:
    """Return the paths of files in some folders that differ from a commit, those of Git alone."""
    listed = git("diff", "--name-only", "--relative", commit, "--", *folders)
    return [Path(name) for name in listed.decode().splitlines()]


def extract(commit: str, folder: Path) -> None:
    """Write the files of a commit, of the project alone where its repository has more."""
    packed = io.BytesIO(git("archive", "--format=tar", commit))
    with tarfile.open(fileobj=packed) as archive:
        archive.extractall(folder, filter="tar")


@contextmanager
def files_of(revision: str) -> Iterator[Path]:
    """Yield a folder with the files of a revision, or of the working tree, for the block."""
    if revision == WORKING_TREE:
        yield Path()
        return
    with TemporaryDirectory() as name:
        extract(find_commit(revision), Path(name))
        yield Path(name)


def copy_files(source: Path, folder: Path, *names: str) -> None:
    """Copy the files that Git tracks, or would track, as they are, to `folder`: all, or some."""
    options = ("-z", "--cached", "--others", "--exclude-standard", "--", *names)
    listed = git("ls-files", *options, folder=source)
    for name in listed.decode().removesuffix("\0").split("\0"):
        if (source / name).exists():  # it may have been deleted since it was committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, folder / name)


def _check_inside(path: str) -> str:
    if not path or PurePath(path).is_absolute() or ".." in PurePath(path).parts:
        raise ValueError("expected a path inside the project")
    return path


class _Dependency(BaseModel, strict=True):
    path: str
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]


class _Out(_Dependency):
    path: Annotated[str, AfterValidator(_check_inside)]


class _Stage(BaseModel, strict=True):
    deps: list[_Dependency] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[_Out] = []


class _Lock(BaseModel, strict=True):
    stages: dict[str, _Stage]


class Output(NamedTuple):
    """An output of a stage: a file or a directory, and its MD5, or that of its list of files."""

    stage: str
    path: str
    md5: str


def read_lock(path: Path = LOCK, name: str = "") -> Lock:
    """Return a dvc.lock, called `name` in errors; InputError where it is not what DVC writes."""
    lock: Lock = load_yaml(path, "what DVC writes, whole", name)
    check(Path(name or path), _Lock, lock)
    return lock


def outputs(lock: Lock) -> Iterator[Output]:
    """Yield the outputs of all stages, in the order of dvc.lock."""
    for stage, entry in lock["stages"].items():
        for out in entry.get("outs", []):
            yield Output(stage, out["path"], out["md5"])


def read_recorded(folder: Path, name: str, stages: Collection[str] = ()) -> Lock:
    """Return the dvc.lock in `folder`, of a revision of that name, if its results are its own.

    InputError where the params and code there are not those that dvc.lock tells of, in all stages
    or in some.
    """
    lock = read_lock(folder / LOCK, f"{name}:{LOCK}")
    made = {output.path for output in outputs(lock)}
    for stage, entry in lock["stages"].items():
        if stages and stage not in stages:
            continue
        before: dict[str, object] = {}
        now: dict[str, object] = {}
        for file, values in entry.get("params", {}).items():
            for key, value in values.items():
                before |= dict(leaves(f"{file}: {key}", value))
            now |= read_params(folder, file, values)
        for dep in entry.get("deps", []):
            path = dep["path"]
            # What lies outside the project is no revision's own.
            own = path not in made and not PurePath(path).is_absolute()
            if own and (folder / path).exists():
                before[path], now[path] = dep["md5"], hash_path(folder / path)
        if changes := describe_changes(before, now, "in its dvc.lock"):
            raise InputError(
                f"{name}: {changes}: its results were made without that; expected them to be of "
                "its own params and code: make repro, then commit what that changes"
            )
    return lock


def find_cache(folder: Path = Path()) -> Path:
    """Return where DVC keeps what the stages of a project made, as its configuration says."""
    try:
        return folder / str(Config(str(folder / ".dvc"))["cache"].get("dir", ".dvc/cache"))
    except ConfigError as error:
        raise InputError(f"DVC: {one_line(error)}; expected its configuration in .dvc") from None


def stored(cache: Path, md5: str) -> Path:
    """Return where the cache keeps the bytes with that hash, if it has them."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def files(output: Output, cache: Path) -> dict[str, str]:
    """Return the hash of each file of an output; of a directory, as far as the cache lists them."""
    if not output.md5.endswith(".dir"):
        return {output.path: output.md5}
    listing = stored(cache, output.md5)
    if not is_whole(listing, output.md5):
        return {}
    entries = json.loads(listing.read_bytes())
    return {f"{output.path}/{entry['relpath']}": entry["md5"] for entry in entries}


def is_whole(path: Path, md5: str) -> bool:
    """Return whether there is a file, and its bytes have that hash."""
    return path.is_file() and hash_path(path) == md5.removesuffix(".dir")
