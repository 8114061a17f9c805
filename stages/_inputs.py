"""What a stage reads, as its dvc.yaml lists it: it must stay as it is until the stage has ended.

DVC takes the hashes of params, code and data when a stage has ended, and would record what was
edited while the stage ran as what its results were made from.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from digits.errors import InputError, shorten
from digits.params import PARAMS, leaves, load_yaml

PIPELINE = Path("dvc.yaml")
_MD5 = partial(hashlib.md5, usedforsecurity=False)

Inputs = Mapping[str, object]  # params by "params.yaml: train.lr", all else by path


@contextmanager
def unchanged(stage: str) -> Iterator[None]:
    """Raise `InputError` at the end of the block if the inputs of a stage have changed."""
    entry = load_yaml(PIPELINE, "stages")["stages"].get(stage, {})
    before = read_inputs(entry)
    yield
    if changes := describe_changes(before, read_inputs(entry), f"when {stage} began"):
        raise InputError(f"{changes}: nothing is recorded; expected no edits: run it again")


def read_inputs(entry: Mapping[str, Any]) -> dict[str, object]:
    """Return what a stage of a dvc.yaml reads: params, hashes of code, and times of data."""
    found = read_params(Path(), str(PARAMS), entry.get("params", []))
    for dep in entry.get("deps", []):
        path = re.sub(r"\$\{(.+?)\}", lambda key: str(found.get(f"{PARAMS}: {key[1]}")), dep)
        found[path] = hash_path(Path(path)) if path.endswith(".py") else _written(Path(path))
    return found


def _written(path: Path) -> list[tuple[str, int]]:
    """Return when what is at `path`, or lies in it, was written."""
    with suppress(OSError):  # which the stage will tell
        return sorted((str(one), one.stat().st_mtime_ns) for one in (path, *path.rglob("*")))
    return []


def read_params(folder: Path, file: str, keys: Iterable[str]) -> dict[str, object]:
    """Return all values that lie under some keys of a file in `folder`, as `Inputs` names them."""
    values = leaves("", load_yaml(folder / file, "the parameters", file))
    within = tuple(f"{key}." for key in keys)
    return {f"{file}: {name}": value for name, value in values if f"{name}.".startswith(within)}


def hash_path(path: Path) -> str:
    """Return the MD5 of a file, or of a directory's list of files, as DVC takes it, if any."""
    if path.is_dir():
        files = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
        listed = [{"md5": hash_path(files[name]), "relpath": name} for name in sorted(files)]
        return f"{_MD5(json.dumps(listed).encode()).hexdigest()}.dir"
    if not path.is_file():  # nor a device, which may have no end
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, _MD5).hexdigest()


def describe_changes(before: Inputs, after: Inputs, when: str) -> str:
    """Return in words the first way in which `after` differs from what there was `when`, if any."""
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old != new and ": " in name:
            return f"{name} = {shorten(new)}, and {shorten(old)} {when}"
        if old != new:
            return f"{name}: not as {when}"
    return ""
