"""verify: everything built anew in a clean clone of a commit, and held against what it committed.

    python -m tools.verify REV

Clones this repository to .verify at the revision (by default the last commit), runs every stage
without DVC's run-cache, and prints one line for each output: its hash against dvc.lock, and each
metric and plot against Git as well. Where something differs, it says by how much, as far as the old
bytes are at hand, and why, as far as that can be known; and .verify stays, to be looked at.
"""

import shutil
import subprocess
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from digits.errors import InputError, run_command
from digits.params import leaves
from tools import ledger, machine
from tools.difference import describe
from tools.ledger import LOCK, Lock, Output, find_cache, is_whole, outputs, read_lock, stored
from tools.repository import files_of, find_commit, git

CLONE = Path(".verify")
MOST = 5  # names in the last line; the table has all
UNKNOWN = "another hash (the old bytes are not in DVC's cache)"


@dataclass(frozen=True)
class Result:
    """What became of an output, or of a line of dvc.lock, when it was built anew.

    Attributes:
        stage: the stage that it belongs to.
        name: the path of the output, or what the line says.
        difference: in words, or nothing where it is the same.
    """

    stage: str
    name: str
    difference: str = ""


def choose_commit(revision: str | None) -> str:
    """Return the full hash of a revision; of the last commit if none is named, and all is in it.

    Raises:
        InputError: there is no such revision, or its results are not of its params and code.
    """
    if revision is None and (changed := git("diff", "--name-only", "HEAD").decode().splitlines()):
        raise InputError(
            f"{', '.join(changed)}: not as in the last commit; expected it committed "
            "(or the commit named: make verify REV=HEAD)"
        )
    commit = find_commit(revision or "HEAD")
    with files_of(commit) as folder:
        ledger.read_recorded(folder, commit[:7])
    return commit


def rebuild(commit: str) -> None:
    """Build everything anew in a clean clone."""
    shutil.rmtree(CLONE, ignore_errors=True)
    git("clone", "--quiet", "--no-checkout", ".", str(CLONE))
    git("checkout", "--quiet", commit, folder=CLONE)
    command = ["dvc", "repro", "--force", "--no-run-cache"]
    if subprocess.run(command, cwd=CLONE, check=False).returncode != 0:
        raise InputError(f"{commit[:7]} could not be built anew in {CLONE}: see above")


def compare(commit: str) -> list[Result]:
    """Return a result for each output of a commit, and for each other difference in the clone."""
    rebuilt, results = read_lock(CLONE / LOCK), []
    made = {output.path: output for output in outputs(rebuilt)}
    with files_of(commit) as folder:
        lock = read_lock(folder / LOCK, f"{commit[:7]}:{LOCK}")
        for output in outputs(lock):
            path = folder / output.path
            in_git = path.read_bytes() if path.exists() else None
            differences = _differences(output, made.get(output.path), in_git)
            results.append(Result(output.stage, output.path, "; ".join(differences)))
    named = {result.name for result in results if result.difference}
    others = list(_other_lines(lock, rebuilt, named))
    known = named | {str(LOCK)} if named or others else set()
    return [*results, *others, *_other_files(known)]


def _differences(output: Output, new: Output | None, in_git: bytes | None) -> Iterator[str]:
    """Yield how an output differs from dvc.lock, and how from Git where it is kept there."""
    if new is None:
        yield "not built"
        return
    content = (CLONE / output.path).read_bytes() if in_git is not None else b""
    if in_git is not None and in_git != content:
        yield f"in Git: {describe(output.path, in_git, content)}"
        if output.md5 != new.md5:
            yield "in dvc.lock: another hash"
    elif output.md5 != new.md5:
        yield f"in dvc.lock: {_by_how_much(output, new)}"


def _by_how_much(output: Output, new: Output) -> str:
    """Return how the files of an output differ, as far as DVC's cache has the old ones."""
    cache = find_cache()
    old, now = ledger.files(output, cache), ledger.files(new, find_cache(CLONE))
    if not old:
        return UNKNOWN
    words = []
    for path in sorted(old.keys() | now.keys()):
        if old.get(path) != now.get(path):
            name = path.removeprefix(output.path).lstrip("/")
            words.append(f"{name} {_file_difference(path, old, now, cache)}".strip())
    return ", ".join(words)


def _file_difference(path: str, old: dict[str, str], now: dict[str, str], cache: Path) -> str:
    if path not in old or path not in now:
        return "is new" if path not in old else "is missing"
    kept = stored(cache, old[path])
    if not is_whole(kept, old[path]):
        return UNKNOWN
    return describe(path, kept.read_bytes(), (CLONE / path).read_bytes())


def _other_lines(lock: Lock, rebuilt: Lock, named: set[str]) -> Iterator[Result]:
    """Yield the lines of dvc.lock that differ, but for the outputs `named` already."""
    before, after = dict(_lines(lock, named)), dict(_lines(rebuilt, named))
    for stage, line in sorted(before.keys() | after.keys()):
        old, new = (lines.get((stage, line)) for lines in (before, after))
        if old != new:
            yield Result(stage, f"dvc.lock: {line}", f"{old} became {new}")


def _lines(lock: Lock, named: set[str]) -> Iterator[tuple[tuple[str, str], object]]:
    """Yield (stage, name) and value of all that dvc.lock records, but for some paths."""
    for stage, entry in lock["stages"].items():
        paths = {
            kind: {item["path"]: item for item in entry.get(kind, []) if item["path"] not in named}
            for kind in ("deps", "outs")
        }
        yield from (((stage, name), value) for name, value in leaves("", {**entry, **paths}))


def _other_files(known: set[str]) -> Iterator[Result]:
    """Yield what else Git finds changed in the clone."""
    for line in git("status", "--porcelain", folder=CLONE).decode().splitlines():
        if line[3:] not in known:
            yield Result("", line[3:], "not as in Git")


def print_table(results: list[Result]) -> None:
    """Print a line for each result."""
    stage = max((len(result.stage) for result in results), default=0)
    name = max((len(result.name) for result in results), default=0)
    for result in results:
        words = f"different: {result.difference}" if result.difference else "same"
        print(f"{result.stage:{stage}}  {result.name:{name}}  {words}")


def print_platform(*, differing: bool) -> None:
    """Print what this machine is, and why it might have led to other bytes."""
    print(f"platform: {machine.describe()}")
    if differing:
        print(f"reason: {machine.explain(CLONE / 'requirements.txt')}")


def main() -> None:
    """Run the proof."""
    parser = ArgumentParser(description="Build a commit anew in a clean clone, and compare.")
    parser.add_argument("revision", nargs="?", help="by default the last commit")
    commit = choose_commit(parser.parse_args().revision)
    rebuild(commit)
    results = compare(commit)
    print_table(results)
    differing = [result.name for result in results if result.difference]
    print_platform(differing=bool(differing))
    if differing:
        more = f" and {len(differing) - MOST} more" if len(differing) > MOST else ""
        raise InputError(
            f"{', '.join(differing[:MOST])}{more}: not as in {commit[:7]}; "
            f"what was built anew is in {CLONE}"
        )
    shutil.rmtree(CLONE)
    print(f"verified: built anew, all {len(results)} outputs are those of {commit[:7]}")


if __name__ == "__main__":
    run_command(main)
