from pathlib import Path

import pytest

from digits.network.model import encode
from studies.trial import Fit, load_fit
from tests.conftest import draw_weights

FITS = [Fit(draw_weights([4, 3], seed), 1.5 + seed) for seed in (0, 1)]


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    for number, fit in enumerate(FITS):
        assert load_fit(tmp_path / f"{number}", pixels=4, classes=3) is None
        fit.save(tmp_path / f"{number}")
    for number, fit in enumerate(FITS):
        found = load_fit(tmp_path / f"{number}", pixels=4, classes=3)
        assert found is not None
        assert found.seconds == fit.seconds
        assert encode([found.network]) == encode([fit.network])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("one.json", content) for content in (b"", b"[]", b"{}", b'{"seconds": null}', b"\xff")),
        ("one", encode([FITS[0].network])[:-1]),
        ("one", encode([FITS[0].network, FITS[1].network])),
    ],
)
def test_what_is_damaged_counts_for_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    FITS[0].save(tmp_path / "one")
    (tmp_path / name).write_bytes(content)
    assert load_fit(tmp_path / "one", pixels=4, classes=3) is None
