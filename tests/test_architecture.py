"""docs/architecture.md held against the imports: who may import whom."""

import re

from tests.sandbox import ROOT
from tests.test_pipeline import imported

TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
ARROWS = set(re.findall(r"^    (\w+) --> (\w+)$", TEXT, re.MULTILINE))
ROOMS = {room for arrow in ARROWS for room in arrow}
GROUND = {"errors", "files", "params", "process", "exact", "novelty"}


def room_of(name: str) -> str:
    """Return the room of what is imported, by its dotted name, or else its package."""
    package, *inner = name.split(".")
    if package != "digits" or not inner:
        return package
    return "ground" if inner[0] in GROUND else inner[0] if inner[0] in ROOMS else package


def find_used() -> set[tuple[str, str]]:
    """Return which room, but for itself, imports which, or DVC."""
    used = set()
    for package in ("digits", "stages", "tools", "studies", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            here = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
            rooms = set(map(room_of, imported(path))) & {*ROOMS, "dvc"}
            used |= {(here, room) for room in rooms - {here}}
    return used


def reachable(room: str) -> set[str]:
    """Return the rooms that arrows lead to from a room; RecursionError where one leads back."""
    nexts = {target for source, target in ARROWS if source == room}
    return nexts.union(*map(reachable, nexts))


def test_every_arrow_is_used_and_no_room_imports_another_that_none_leads_to() -> None:
    used = find_used()
    assert used >= ARROWS
    assert [
        pair for pair in sorted(used - {("tools", "dvc")}) if pair[1] not in reachable(pair[0])
    ] == []
