"""verify: everything built anew from the files of a commit, and held against what it committed.

Writes the files to .verify, runs every stage without DVC's run-cache, and prints one line for each
output, and for each other file that is not as in Git: by how much it differs, if Git has it. Then
.verify stays, to be looked at.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from digits.errors import InputError
from tools import project
from tools.difference import describe
from tools.doctor import CONSTRAINTS, describe_machine, other_versions
from tools.project import LOCK, files_of, git, outputs, read_lock

CLONE = Path(".verify")


class Result(NamedTuple):
    """An output of a stage, or another file in Git, and how it differs, in words, if it does."""

    stage: str
    name: str
    difference: str


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
    """Return a result for each output of a commit, and for each other file not as in Git."""
    made = {output.path: output.md5 for output in outputs(read_lock(CLONE / LOCK))}
    changed = {}
    with files_of(commit) as folder:
        lock = read_lock(folder / LOCK, f"{commit[:7]}:{LOCK}")
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = str(path.relative_to(folder))
            old, new = path.read_bytes(), (CLONE / name).read_bytes()
            if old != new:
                changed[name] = f"in Git: {describe(name, old, new)}"
    results = []
    for output in outputs(lock):
        difference = changed.pop(output.path, "")
        if output.md5 != made.get(output.path) and not difference:
            difference = "another hash in dvc.lock" if output.path in made else "not built"
        results.append(Result(output.stage, output.path, difference))
    listed = git("status", "--porcelain", folder=CLONE).decode().splitlines()
    changed |= {line[3:]: "not in Git" for line in listed if line.startswith("??")}
    return [*results, *(Result("", *each) for each in changed.items())]


def main(revision: str | None) -> None:
    """Build a revision anew, by default the last commit, and compare."""
    commit = choose_commit(revision)
    rebuild(commit)
    results = compare(commit)
    stage, name, _ = (max(map(len, column)) for column in zip(*results, strict=True))
    for each in results:
        told = f"different: {each.difference}" if each.difference else "same"
        print(f"{each.stage:{stage}}  {each.name:{name}}  {told}")
    print(f"platform: {describe_machine()}")
    differing = [result.name for result in results if result.difference]
    if differing:
        # Neither processor, GPU, number of threads nor version of torch changes a byte.
        bug = "none: the commit was not made by its code, or it is a bug; please report that"
        others = ", ".join(other_versions(CLONE / CONSTRAINTS)) or bug
        print(f"versions other than in {CONSTRAINTS}: {others}")
        where = f"what was built anew is in {CLONE}"
        raise InputError(f"{', '.join(differing)}: not as in {commit[:7]}; {where}")
    shutil.rmtree(CLONE)
    print(f"verified: built anew, all {len(results)} outputs are those of {commit[:7]}")
