"""What this machine has, told by Python alone: before anything is installed, too."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What Debian and others call it.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def read_processor() -> dict[str, str]:
    """Return what the kernel says of this processor, by its own names."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in facts}


def has_avx2() -> bool:
    """Return whether this processor has what mode portable needs."""
    return "avx2" in read_processor().get("flags", "").split()


def describe_processor() -> str:
    """Return the name of this processor and its widest vectors."""
    facts = read_processor()
    name, flags = facts.get("model name", "unknown processor"), facts.get("flags", "").split()
    widest = [flag for flag in ("avx512f", "avx2", "avx") if flag in flags]
    return f"{name} ({widest[0] if widest else 'without avx'})"


def other_versions(requirements: Path) -> Iterator[str]:
    """Yield the packages that are not as pinned, each with its version and the pinned one."""
    for line in requirements.read_text(encoding="utf-8").splitlines():
        name, pinned, rest = line.partition("#")[0].partition("==")
        if not pinned:
            continue
        wanted = rest.partition(";")[0].strip()
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            found = "missing"
        if found != wanted:
            yield f"{name} {found}, pinned {wanted}"


def available_memory() -> int:
    """Return how many bytes of memory programs can still have, caches given up for them."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    facts = dict(line.split(":", 1) for line in lines)
    return int(facts["MemAvailable"].removesuffix("kB")) * 1024
