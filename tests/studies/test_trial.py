from pathlib import Path

import pytest
import torch

from digits.network.model import Ensemble, encode
from studies.trial import Fit, load_fit
from tests.conftest import new_network

FITS = [Fit(new_network([4, 3], seed), 1.5 + seed) for seed in (0, 1)]


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    for number, fit in enumerate(FITS):
        assert load_fit(tmp_path / f"{number}", pixels=4, classes=3) is None
        fit.save(tmp_path / f"{number}")
    for number, fit in enumerate(FITS):
        found = load_fit(tmp_path / f"{number}", pixels=4, classes=3)
        assert found is not None
        assert found.seconds == fit.seconds
        assert torch.equal(found.network(torch.ones(1, 4)), fit.network(torch.ones(1, 4)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("one.json", content) for content in (b"", b"[]", b"{}", b'{"seconds": null}', b"\xff")),
        ("one", encode(Ensemble([FITS[0].network]))[:-1]),
        ("one", encode(Ensemble([FITS[0].network, FITS[1].network]))),
    ],
)
def test_what_is_damaged_counts_for_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    FITS[0].save(tmp_path / "one")
    (tmp_path / name).write_bytes(content)
    assert load_fit(tmp_path / "one", pixels=4, classes=3) is None
