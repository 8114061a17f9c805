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
from tools.project import find_changed, find_commit

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


def is_equivalent(diff: str, known: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a fault, as a diff, puts in the place of code what is known to change nothing.

    The code may be any part of a line.
    """
    lines = [line for line in diff.splitlines() if line[:3] not in {"---", "+++"}]
    old, new = ("\n".join(line[1:] for line in lines if line[:1] == sign) for sign in "-+")
    return any(
        new == old[: place.start()] + fault + old[place.end() :]
        for one in known
        for place in re.finditer(re.escape(one["code"]), old)
        for fault in one["faults"]
    )


def report(results: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a table by module, and of each fault that was not caught."""
    known = load_yaml(EQUIVALENT, "faults that no test can catch")["faults"]
    diffs = {name: mutmut("show", name) for name, state in results.items() if state in MISSED}
    missed = {name: diff for name, diff in diffs.items() if not is_equivalent(diff, known)}
    same = diffs.keys() - missed.keys()
    tried = Counter(map(module_of, results.keys() - same))
    caught = tried - Counter(map(module_of, missed))
    yield "| module | faults | caught | |\n| --- | ---: | ---: | ---: |"
    for module, count in sorted(tried.items()):
        yield f"| {module} | {count} | {caught[module]} | {caught[module] / count:.0%} |"
    share = caught.total() / max(tried.total(), 1)
    yield f"| all | {tried.total()} | {caught.total()} | {share:.1%} |"
    yield f"\n{len(same)} more are known to change nothing"
    yield from (diff for _, diff in sorted(missed.items()))


def make(revision: str | None) -> list[str]:
    """Have mutmut write all faults; return those in modules that differ from a revision, if any."""
    changed = set(find_changed(find_commit(revision), "digits", "stages") if revision else ())
    if revision and not changed:
        return []
    shutil.rmtree(FOLDER, ignore_errors=True)
    mutmut("run", GENERATE, shown=True)
    if not (made := read_results()):
        raise InputError("mutmut: made no faults; expected the tests to pass, as make test has it")
    return [one for one in made if not revision or module_of(one) in changed]


def main(revision: str | None, most: int) -> None:
    """Try a sample of at most about so many faults, of the modules that differ or of all."""
    if not (faults := make(revision)):
        print(f"no module of digits/ or stages/ that faults are put into differs from {revision}")
        return
    lines = {one: len(one.read_text("utf-8").splitlines()) for one in set(map(module_of, faults))}
    drawn = draw(faults, most, lines)
    mutmut("run", *drawn, shown=True)
    results = read_results()
    for fault in drawn:
        if results[fault] not in CAUGHT | MISSED:
            raise InputError(f"mutmut: {fault}: {results[fault]}; expected it caught or missed")
    print(*report({fault: results[fault] for fault in drawn}), sep="\n")
