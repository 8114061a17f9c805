"""docs/architecture.md held against the imports: who may import whom."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from tests.sandbox import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
ARROWS = set(re.findall(r"^    (\w+) --> (\w+)$", TEXT, re.MULTILINE))
ROOMS = {room for arrow in ARROWS for room in arrow}
GROUND = {"errors", "files", "params", "process", "exact"}


def room_of(module: str) -> str | None:
    """Return the room of a module of this project, by its dotted name."""
    package, *inner = module.split(".")
    if package != "digits" or not inner:
        return package if package in ROOMS else None
    if inner[0] in GROUND:
        return "ground"
    return inner[0] if inner[0] in ROOMS else "digits"


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def find_used() -> set[tuple[str, str]]:
    """Return which room imports which."""
    used = set()
    for package in ("digits", "stages", "tools", "studies", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            here = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
            rooms = {room_of(name) for name in imported(path)} - {None, here}
            used |= {(str(here), str(room)) for room in rooms}
    return used


def reachable(room: str) -> set[str]:
    """Return the rooms that arrows lead to from a room."""
    nexts = {target for source, target in ARROWS if source == room}
    return nexts.union(*map(reachable, nexts))


def test_no_room_imports_another_that_no_arrow_leads_to() -> None:
    assert [pair for pair in sorted(find_used()) if pair[1] not in reachable(pair[0])] == []


def test_every_arrow_is_used_and_none_leads_back() -> None:
    list(TopologicalSorter({source: [target] for source, target in ARROWS}).static_order())
    assert find_used() >= ARROWS


def test_the_library_knows_nothing_of_dvc_or_of_the_stages() -> None:
    names = {
        name.split(".")[0] for path in (ROOT / "digits").rglob("*.py") for name in imported(path)
    }
    assert not names & {"dvc", "stages", "tools"}


def test_every_place_that_the_map_names_is_there() -> None:
    places = re.findall(r"`((?:digits|stages|tools|tests|recipes)/[\w/.]*)`", TEXT)
    assert len(places) > 10
    assert [place for place in places if not (ROOT / place).exists()] == []
