"""mutation: how many faults the tests catch, of those that mutmut puts into the code one at a time.

Of all faults in digits/ and stages/, or in those modules that differ from a revision, a sample is
drawn, spread over the modules by their lines. Prints the share that was caught, by module, and each
fault that was not, but for those that no test can catch: tests/equivalent.yaml says why.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from digits.errors import InputError
from digits.params import load_yaml
from tools.project import find_commit, git

FOLDER = Path("mutants")  # where mutmut works
EQUIVALENT = Path("tests/equivalent.yaml")
# mutmut forks: a child would wait for threads that its parent has.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
CAUGHT = {"killed", "timeout", "segfault"}  # as mutmut calls it
MISSED = {"survived", "no tests"}
GENERATE = "none"  # no fault has that name: mutmut writes all, and tries none


def mutmut(*arguments: str, shown: bool = False) -> str:
    """Return what a command of mutmut prints; where it is `shown`, it goes to standard error."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    output, own = sys.stderr if shown else subprocess.PIPE, os.environ | ONE_THREAD
    return subprocess.run(command, stdout=output, text=True, check=False, env=own).stdout or ""


def read_results() -> dict[str, str]:
    """Return what has become of each fault, by its name."""
    return dict(re.findall(r"^ *(\S+): (.+)$", mutmut("results", "--all", "true"), re.MULTILINE))


def module_of(fault: str) -> Path:
    """Return the path of the module that a fault is put into."""
    path = Path(*fault.split(".")[:-1])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def draw(faults: Sequence[str], most: int, lines: Mapping[Path, int]) -> list[str]:
    """Draw a sample of faults, by a seed, from each module as many as its share of all lines."""
    random, by_module = Random(0), defaultdict[Path, list[str]](list)
    for fault in sorted(faults):
        by_module[module_of(fault)].append(fault)
    total = sum(lines[module] for module in by_module)
    drawn = []
    for module, own in by_module.items():
        share = max(round(most * lines[module] / total), 1)
        drawn += random.sample(own, min(share, len(own)))
    return drawn


def changed_modules(revision: str) -> set[Path]:
    """Return the modules of digits/ and stages/ that differ from a revision's."""
    names = git("diff", "--name-only", find_commit(revision), "--", "digits", "stages").decode()
    return {Path(name) for name in names.splitlines() if name.endswith(".py")}


def is_equivalent(diff: str, known: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a fault, as a diff, puts in the place of code what is known to change nothing.

    The code may be any part of a line.
    """
    lines = [line for line in diff.splitlines() if line[:3] not in {"---", "+++"}]
    old, new = ("\n".join(line[1:] for line in lines if line[:1] == sign) for sign in "-+")
    for one in known:
        for found in re.finditer(re.escape(one["code"]), old):
            before, after = old[: found.start()], old[found.end() :]
            if new in [before + fault + after for fault in one["faults"]]:
                return True
    return False


def report(results: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a table by module, and of each fault that was not caught."""
    known = load_yaml(EQUIVALENT, "faults that no test can catch")["faults"]
    missed = {name: mutmut("show", name) for name, state in results.items() if state in MISSED}
    same = {name for name, diff in missed.items() if is_equivalent(diff, known)}
    tried = Counter(module_of(name) for name in results if name not in same)
    caught = tried - Counter(module_of(name) for name in missed if name not in same)
    yield "| module | faults | caught | |\n| --- | ---: | ---: | ---: |"
    for module, count in sorted(tried.items()):
        yield f"| {module} | {count} | {caught[module]} | {caught[module] / count:.0%} |"
    share = caught.total() / tried.total()
    yield f"| all | {tried.total()} | {caught.total()} | {share:.1%} |"
    yield f"\n{len(same)} more are known to change nothing"
    yield from (diff for name, diff in sorted(missed.items()) if name not in same)


def main(revision: str | None, most: int) -> None:
    """Try a sample of at most about so many faults, of the modules that differ or of all."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    chosen = changed_modules(revision) if revision else None
    if chosen is not None and not chosen:
        print(f"no module of digits/ or stages/ differs from {revision}")
        return
    mutmut("run", GENERATE, shown=True)
    faults = [one for one in read_results() if chosen is None or module_of(one) in chosen]
    if not faults:
        raise InputError("mutmut: made no faults; expected the tests to pass, as make test has it")
    lines = {one: len(one.read_text("utf-8").splitlines()) for one in set(map(module_of, faults))}
    drawn = draw(faults, most, lines)
    mutmut("run", *drawn, shown=True)
    results = read_results()
    for fault in drawn:
        if results[fault] not in CAUGHT | MISSED:
            raise InputError(f"mutmut: {fault}: {results[fault]}; expected it caught or missed")
    print(*report({fault: results[fault] for fault in drawn}), sep="\n")
