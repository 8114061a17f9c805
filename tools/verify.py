"""verify: everything built anew from the files of a commit, and held against what it committed.

Writes the files to .verify, runs every stage without DVC's run-cache, and prints one line for each
output: its hash against dvc.lock, and each metric and plot against Git as well. Where something
differs, it says by how much, as far as the old bytes are at hand, and why, as far as that can be
known; and .verify stays, to be looked at.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from digits.errors import InputError
from digits.params import leaves
from tools import project
from tools.difference import describe
from tools.doctor import CONSTRAINTS, describe_machine, explain
from tools.project import LOCK, Lock, Output, files, files_of, find_cache, git, outputs, read_lock

CLONE = Path(".verify")
MOST = 5  # names in the last line; the table has all
UNKNOWN = "another hash (the old bytes are not in DVC's cache)"


@dataclass(frozen=True)
class Result:
    """An output of a stage, or a line of dvc.lock, and how it differs, in words, if it does."""

    stage: str
    name: str
    difference: str = ""


def choose_commit(revision: str | None) -> str:
    """Return the hash of a revision, if its results are of its own params and code.

    Without one it is the last commit, if all is in it.
    """
    commit = project.find_commit(revision or "HEAD")
    changed = git("diff", "--name-only", "--relative", "HEAD").decode().splitlines()
    if changed and revision is None:
        raise InputError(
            f"{', '.join(changed)}: not as in the last commit; expected it committed "
            "(or the commit named: make verify REV=HEAD)"
        )
    with files_of(commit) as folder:
        project.read_recorded(folder, commit[:7])
    return commit


def rebuild(commit: str) -> None:
    """Build everything anew in a folder, and repository, with the files of a commit alone."""
    shutil.rmtree(CLONE, ignore_errors=True)
    project.extract(commit, CLONE)
    git("init", "--quiet", folder=CLONE)
    git("add", "--all", "--force", folder=CLONE)
    command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache"]
    if subprocess.run(command, cwd=CLONE, check=False).returncode != 0:
        raise InputError(f"{commit[:7]} could not be built anew in {CLONE}: see above")


def compare(commit: str) -> list[Result]:
    """Return a result for each output of a commit, and for each other difference in the clone."""
    rebuilt = read_lock(CLONE / LOCK)
    made = {output.path: output for output in outputs(rebuilt)}
    with files_of(commit) as folder:
        lock = read_lock(folder / LOCK, f"{commit[:7]}:{LOCK}")
        results = [
            Result(one.stage, one.path, _difference(one, made.get(one.path), folder / one.path))
            for one in outputs(lock)
        ]
    named = {result.name for result in results if result.difference}
    before, after = (dict(_lines(one, named)) for one in (lock, rebuilt))
    others = [
        Result(line[0], f"dvc.lock: {line[1]}", f"{before.get(line)} became {after.get(line)}")
        for line in sorted(before.keys() | after.keys())
        if before.get(line) != after.get(line)
    ]
    known = named | {str(LOCK)} if named or others else set()
    changed = git("status", "--porcelain", folder=CLONE).decode().splitlines()
    strays = (line[3:] for line in changed if line[1] != " " and line[3:] not in known)
    return [*results, *others, *(Result("", name, "not as in Git") for name in strays)]


def _difference(output: Output, new: Output | None, kept: Path) -> str:
    """Return how an output differs from dvc.lock, and from the file that Git has `kept` of it."""
    if new is None:
        return "not built"
    hashes = f"in dvc.lock: {_by_how_much(output, new)}" if output.md5 != new.md5 else ""
    if not kept.is_file():
        return hashes
    old, now = kept.read_bytes(), (CLONE / output.path).read_bytes()
    if old == now:
        return hashes
    also = "; in dvc.lock: another hash" if hashes else ""
    return f"in Git: {describe(output.path, old, now)}{also}"


def _by_how_much(output: Output, new: Output) -> str:
    """Return how the files of an output differ, as far as DVC's cache has the old ones."""
    cache = find_cache()
    old, now = files(output, cache), files(new, find_cache(CLONE))
    if not old:
        return UNKNOWN
    words = []
    for path in sorted(old.keys() | now.keys()):
        if path not in old or path not in now:
            told = "is new" if path in now else "is missing"
        elif old[path] == now[path]:
            continue
        elif project.is_whole(kept := project.stored(cache, old[path]), old[path]):
            told = describe(path, kept.read_bytes(), (CLONE / path).read_bytes())
        else:
            told = UNKNOWN
        words.append(f"{path.removeprefix(output.path).lstrip('/')} {told}".strip())
    return ", ".join(words)


def _lines(lock: Lock, named: set[str]) -> Iterator[tuple[tuple[str, str], object]]:
    """Yield (stage, name) and value of all that dvc.lock records, but for some paths."""
    for stage, entry in lock["stages"].items():
        paths = {
            kind: {item["path"]: item for item in entry.get(kind, []) if item["path"] not in named}
            for kind in ("deps", "outs")
        }
        yield from (((stage, name), value) for name, value in leaves("", {**entry, **paths}))


def print_table(results: list[Result]) -> None:
    """Print a line for each result."""
    stage = max((len(result.stage) for result in results), default=0)
    name = max((len(result.name) for result in results), default=0)
    for result in results:
        words = f"different: {result.difference}" if result.difference else "same"
        print(f"{result.stage:{stage}}  {result.name:{name}}  {words}")


def main(revision: str | None) -> None:
    """Build a revision anew, by default the last commit, and compare."""
    commit = choose_commit(revision)
    rebuild(commit)
    results = compare(commit)
    print_table(results)
    print(f"platform: {describe_machine()}")
    differing = [result.name for result in results if result.difference]
    if differing:
        print(f"reason: {explain(CLONE / CONSTRAINTS)}")
        more = f" and {len(differing) - MOST} more" if len(differing) > MOST else ""
        raise InputError(
            f"{', '.join(differing[:MOST])}{more}: not as in {commit[:7]}; "
            f"what was built anew is in {CLONE}"
        )
    shutil.rmtree(CLONE)
    print(f"verified: built anew, all {len(results)} outputs are those of {commit[:7]}")
