from pathlib import Path

import pytest
import torch

from digits.network.model import MLP, Ensemble, encode
from studies.journal import Journal
from studies.trial import Fit


def new_fit(seed: int) -> Fit:
    network = MLP([4, 3])
    network.reset(torch.Generator().manual_seed(seed))
    return Fit(network, seconds=1.5 + seed)


def test_what_was_written_down_is_read_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "study.journal")
    assert journal.read("one", pixels=4, classes=3) is None
    for name, seed in (("one", 0), ("two", 1)):
        journal.add(name, new_fit(seed))
    assert journal.count() == 2
    for name, seed in (("one", 0), ("two", 1)):
        found, expected = journal.read(name, pixels=4, classes=3), new_fit(seed)
        assert found is not None
        assert found.seconds == expected.seconds
        assert torch.equal(found.network(torch.ones(1, 4)), expected.network(torch.ones(1, 4)))
    journal.remove()
    assert journal.read("one", pixels=4, classes=3) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("one.json", content) for content in (b"", b"[]", b"{}", b'{"seconds": null}', b"\xff")),
        ("one", b""),
        ("one", encode(Ensemble([new_fit(0).network]))[:-1]),
        ("one", encode(Ensemble([new_fit(0).network, new_fit(1).network]))),
    ],
)
def test_what_is_damaged_counts_for_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    journal = Journal(tmp_path)
    journal.add("one", new_fit(0))
    (tmp_path / name).write_bytes(content)
    assert journal.read("one", pixels=4, classes=3) is None
