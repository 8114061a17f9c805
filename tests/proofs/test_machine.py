from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from proofs import machine


def test_a_package_as_pinned_is_no_other_version_whatever_stands_behind_it(tmp_path: Path) -> None:
    path, found = tmp_path / "requirements.txt", version("numpy")
    path.write_text(
        "# torch==1.0 in a comment.\n"
        f"numpy=={found}\n"
        f"numpy=={found} # why it is this one\n"
        f"numpy=={found} ; python_version < '4'\n"
        "numpy==1.0 # another\n"
        "no-such-package==2.0\n"
    )
    assert list(machine.other_versions(path)) == [
        f"numpy {found}, pinned 1.0",
        "no-such-package missing, pinned 2.0",
    ]


def test_memory_that_caches_hold_is_available() -> None:
    expected = psutil.virtual_memory().available
    assert 0.5 * expected < machine.available_memory() < 2 * expected


@pytest.mark.parametrize(
    ("flags", "widest"),
    [("avx avx2 avx512f", "avx512f"), ("avx avx2", "avx2"), ("avx", "avx"), ("", "without avx")],
)
def test_a_processor_is_named_with_its_widest_vectors(
    monkeypatch: pytest.MonkeyPatch, flags: str, widest: str
) -> None:
    facts = {"model name": "AMD: EPYC", "flags": flags}
    monkeypatch.setattr(machine, "read_processor", lambda: facts)
    assert machine.describe_processor() == f"AMD: EPYC ({widest})"
