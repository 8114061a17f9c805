import sys

import pytest

pytest.importorskip("atheris", reason="make fuzz installs it")

from proofs import fuzz
from proofs.readers import READERS


def test_every_reader_is_searched() -> None:
    assert tuple(READERS) == fuzz.READERS


def test_a_search_says_how_many_inputs_it_tried(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--seconds", "2", "submission"])
    fuzz.main()
    assert capfd.readouterr().out.endswith("inputs in 2 s, nothing found\n")


def test_an_unknown_reader_is_refused(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "songs"])
    with pytest.raises(SystemExit):
        fuzz.main()
    assert "songs: expected images, submission, params, weights, tensors" in capfd.readouterr().err
