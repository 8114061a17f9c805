from pathlib import Path

import pytest
import torch

from digits.network.model import Ensemble, encode
from studies.journal import Journal
from studies.trial import Fit
from tests.conftest import new_network

FITS = [Fit(new_network([4, 3], seed), 1.5 + seed) for seed in (0, 1)]


def test_what_was_written_down_is_read_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "study.journal")
    for name, fit in zip("ab", FITS, strict=True):
        assert journal.read(name, pixels=4, classes=3) is None
        journal.add(name, fit)
    assert journal.count() == 2
    for name, fit in zip("ab", FITS, strict=True):
        found = journal.read(name, pixels=4, classes=3)
        assert found is not None
        assert found.seconds == fit.seconds
        assert torch.equal(found.network(torch.ones(1, 4)), fit.network(torch.ones(1, 4)))
    journal.remove()
    assert journal.read("a", pixels=4, classes=3) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("one.json", content) for content in (b"", b"[]", b"{}", b'{"seconds": null}', b"\xff")),
        ("one", b""),
        ("one", encode(Ensemble([FITS[0].network]))[:-1]),
        ("one", encode(Ensemble([FITS[0].network, FITS[1].network]))),
    ],
)
def test_what_is_damaged_counts_for_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    journal = Journal(tmp_path)
    journal.add("one", FITS[0])
    (tmp_path / name).write_bytes(content)
    assert journal.read("one", pixels=4, classes=3) is None
