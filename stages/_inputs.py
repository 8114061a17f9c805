"""What a stage reads, as its dvc.yaml lists it: it must stay as it is until the stage has ended.

DVC takes the hashes of params, code and data when a stage has ended, so that it would record what
was edited while the stage ran as what its results were made from. So a stage takes them as well,
when it begins and when it ends, and leaves a note, by which `make repro` finds what was edited in
the moment between that end and DVC's own look.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial, reduce
from itertools import chain
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType
from typing import Any

from digits.errors import InputError, expecting, shorten
from digits.files import write_json
from digits.params import PARAMS, leaves, load_yaml

PIPELINE = Path("dvc.yaml")
NOTES = Path(".dvc/tmp/stages")
MISSING = "missing"
NAMED = 3  # changes in a message, at most
_NOT_RECORDED = ": nothing is recorded; expected what a stage reads to stay: run it again"
_PARAM = re.compile(r"\$\{([\w.]+)\}")  # in a path
_MD5 = partial(hashlib.md5, usedforsecurity=False)

# Params by file and key, such as "params.yaml: train.lr", and the hashes of all else by path.
Inputs = Mapping[str, object]


@contextmanager
def unchanged(
    pipeline: Path, stage: str, code: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Callable[[], None]]:
    """Hold what a stage reads at the end of the block against what it read at its beginning.

    Yields what does so at once: for params and code, which are read early and might be put back.

    Args:
        pipeline: the dvc.yaml that lists the stage.
        stage: its name there; where it is not there, nobody records it.
        code: the hashes of modules before they were imported, if that was before the block.

    Raises:
        InputError: something has changed; the message names it.
    """
    stages = load_yaml(pipeline, "stages")["stages"] if pipeline.exists() else {}
    if stage not in stages:
        yield lambda: None
        return
    entry = stages[stage]
    data = [dep for dep in entry["deps"] if not dep.endswith(".py")]
    begun, stamps = read_inputs(entry, data), _stamp(data)
    begun |= {path: code[path] for path in begun.keys() & code.keys()}
    # What the stage imports is imported meanwhile; what is written from here on, `stamps` show.
    hashing = ThreadPoolExecutor(max_workers=1).submit(hash_paths, stamps)

    def check(before: Inputs = begun, left_out: Collection[str] = data) -> None:
        if changes := describe_changes(before, read_inputs(entry, left_out), f"when {stage} began"):
            raise InputError(f"{changes}{_NOT_RECORDED}")

    yield check
    check()
    # Even if the same bytes stand there again: others may have been read.
    if written := [path for path, stamp in _stamp(data).items() if stamp != stamps.get(path)]:
        raise InputError(f"{written[0]}: written while {stage} ran{_NOT_RECORDED}")
    begun |= hashing.result()
    check(begun, ())
    if NOTES.parent.is_dir():
        made = chain.from_iterable(entry.get(kind, []) for kind in ("outs", "metrics", "plots"))
        names = (one if isinstance(one, str) else min(one) for one in made)
        outputs = hash_paths(name for name in names if Path(name).is_file())  # few and small
        note = {"stage": stage, "lock": str(pipeline.with_suffix(".lock")), "outputs": outputs}
        write_json(NOTES / f"{token_hex(8)}.json", {**note, "inputs": begun})


def read_inputs(entry: Mapping[str, Any], left_out: Collection[str] = ()) -> dict[str, object]:
    """Return what a stage of a dvc.yaml reads, as it is now, but for some of its deps.

    Raises:
        InputError: a file of params cannot be read.
    """
    files: dict[str, list[str]] = {}
    for one in entry.get("params", []):
        for file, keys in (one if isinstance(one, dict) else {str(PARAMS): [one]}).items():
            files.setdefault(file, []).extend(keys)
    params = [read_params(Path(), file, keys).items() for file, keys in files.items()]
    return dict(chain.from_iterable(params)) | hash_paths(
        _resolve(dep) for dep in entry["deps"] if dep not in left_out
    )


def _resolve(dep: str) -> str:
    """Return the path that a line of dvc.yaml names, as DVC records it."""
    known = read_params(Path(), str(PARAMS), _PARAM.findall(dep)) if "$" in dep else {}
    path = _PARAM.sub(lambda key: str(known[f"{PARAMS}: {key[1]}"]), dep)
    inside = Path(path).is_absolute() and Path(path).is_relative_to(Path.cwd())
    return os.path.relpath(path) if inside else path


def _stamp(deps: Iterable[str]) -> dict[str, list[tuple[str, int, int]]]:
    """Return by path when each file there was written, and which file it is."""
    stamps = {}
    for dep in map(_resolve, deps):
        path = Path(dep)
        with expecting(path, "what may be read"):
            files = sorted(file for file in [path, *path.rglob("*")] if file.is_file())
            stats = ((str(file), file.stat()) for file in files)
            stamps[dep] = [(name, stat.st_mtime_ns, stat.st_ino) for name, stat in stats]
    return stamps


def read_params(folder: Path, file: str, keys: Iterable[str]) -> dict[str, object]:
    """Return all values that lie under some keys of a file in `folder`, as `Inputs` names them."""
    content = load_yaml(folder / file, "the parameters", file)
    values = {key: reduce(_inside, key.split("."), content) for key in keys}
    return dict(chain.from_iterable(leaves(f"{file}: {key}", values[key]) for key in values))


def _inside(content: object, key: str) -> object:
    return content.get(key) if isinstance(content, dict) else None


def hash_paths(paths: Iterable[str], folder: Path = Path()) -> dict[str, object]:
    """Return the hash of each path in `folder`, by the path; `MISSING` where nothing is."""
    names = list(paths)
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(hash_path, (folder / name for name in names))
        return dict(zip(names, hashes, strict=True))


def hash_path(path: Path) -> str:
    """Return the MD5 of a file, or of a directory's list of files, as DVC takes it."""
    if path.is_dir():
        files = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
        listed = [{"md5": hash_path(files[name]), "relpath": name} for name in sorted(files)]
        return f"{_MD5(json.dumps(listed).encode()).hexdigest()}.dir"
    if not path.is_file():  # nor a device, which may have no end
        return MISSING
    with path.open("rb") as file:
        return hashlib.file_digest(file, _MD5).hexdigest()


def describe_changes(before: Inputs, after: Inputs, when: str) -> str:
    """Return in words how `after` differs from what there was `when`, if it does."""
    changed = [
        f"{name} = {shorten(after.get(name))}, and {shorten(before.get(name))} {when}"
        if ": " in name
        else f"{name}: not as {when}"
        for name in {**before, **after}
        if before.get(name, MISSING) != after.get(name, MISSING)
    ]
    more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    return ", ".join(changed[:NAMED]) + more
