import re
from pathlib import Path

import pytest
import torch

from digits.network.model import Ensemble, encode
from digits.params import load_params
from studies.journal import Journal, name_training
from studies.trial import Fit
from tests.conftest import new_network


def new_fit(seed: int) -> Fit:
    return Fit(new_network([4, 3], seed), seconds=1.5 + seed)


def test_what_was_written_down_is_read_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "study.journal")
    assert journal.read("one", pixels=4, classes=3) is None
    for name, seed in (("one", 0), ("two", 1)):
        journal.add(name, new_fit(seed))
    for name, seed in (("one", 0), ("two", 1)):
        found, expected = journal.read(name, pixels=4, classes=3), new_fit(seed)
        assert found is not None
        assert found.seconds == expected.seconds
        assert torch.equal(found.network(torch.ones(1, 4)), expected.network(torch.ones(1, 4)))
    journal.remove()
    journal.remove()
    assert journal.read("one", pixels=4, classes=3) is None


def test_a_training_whose_record_was_not_written_has_not_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add("one", new_fit(0))
    (tmp_path / "one.json").unlink()
    assert journal.read("one", pixels=4, classes=3) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"seconds": null}', b"\xff"])
def test_a_damaged_record_is_told_and_counts_for_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    journal = Journal(tmp_path)
    journal.add("one", new_fit(0))
    assert journal.read("two", pixels=4, classes=3) is None
    assert capsys.readouterr().err == ""
    (tmp_path / "one.json").write_bytes(content)
    assert journal.read("one", pixels=4, classes=3) is None
    line = (
        r"warning: .*one\.json: .*; expected what a study wrote down; this network is trained .*\n"
    )
    assert re.fullmatch(line, capsys.readouterr().err)


def test_a_damaged_network_is_told_and_counts_for_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path)
    journal.add("one", new_fit(0))
    whole = (tmp_path / "one").read_bytes()
    pair = Ensemble([new_fit(0).network, new_fit(1).network])
    for content in (b"", whole[:9], whole[:-1], encode(pair)):
        (tmp_path / "one").write_bytes(content)
        assert journal.read("one", pixels=4, classes=3) is None
        told = capsys.readouterr().err
        assert told.startswith(f"warning: {tmp_path / 'one'}")
        assert told.count("\n") == 1


def test_all_that_decides_a_training_decides_its_name(project: Path) -> None:
    params = load_params()
    changes: list[dict[str, object]] = [
        {"train.lr": 0.2},
        {"train.seed": 1},
        {"train.augment.shift": 1.0},
    ]
    names = [
        name_training("data", params, 0, 5),
        name_training("other data", params, 0, 5),
        name_training("data", params, 1, 5),
        name_training("data", params, 0, 4),
        *(name_training("data", load_params(changes=change), 0, 5) for change in changes),
    ]
    assert len(set(names)) == len(names)
    shown = load_params(changes={"evaluate.gallery": 9, "predict.shift": 1})
    assert name_training("data", shown, 0, 5) == names[0]
