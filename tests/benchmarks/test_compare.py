import re
from pathlib import Path

import pytest

from benchmarks.compare import MODULES, RECIPE, printed, score
from benchmarks.measure import Cost
from benchmarks.results import WIDTHS
from digits.params import load_recipe
from tests.sandbox import ROOT

PEERS = ROOT / "benchmarks" / "peers"


def test_every_peer_does_the_notebooks_recipe() -> None:
    text = (PEERS / "tables.py").read_text()
    found = dict(re.findall(r"^([A-Z_, ]+) = (.*)$", text, re.MULTILINE))
    params = load_recipe(RECIPE)
    train = params.train
    assert found["VALIDATION"] == str(params.prepare.validation)
    assert found["WIDTHS"] == str(WIDTHS) == str((784, *train.widths, 10))
    assert found["EPOCHS, BATCH"] == f"{train.epochs}, {train.batch_size}"
    assert found["LEARNING_RATE, MOMENTUM, WEIGHT_DECAY"] == (
        f"{train.lr}, {train.momentum}, {train.weight_decay}"
    )
    assert (train.schedule, train.label_smoothing) == ("constant", 0)
    for module in MODULES.values():
        assert (PEERS / f"{module}.py").exists()


def test_the_versions_of_the_peers_are_pinned_and_their_torch_is_ours() -> None:
    pins = (ROOT / "benchmarks" / "requirements.txt").read_text().splitlines()
    lines = [line for line in pins if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    [ours] = re.findall(r"^torch==.*$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert ours in lines


def test_a_score_is_the_share_of_right_labels(tmp_path: Path) -> None:
    (tmp_path / "given.csv").write_text("ImageId,Label\n1,7\n2,1\n3,0\n4,4\n")
    (tmp_path / "true.csv").write_text("ImageId,Label\n1,7\n2,2\n3,0\n4,4\n")
    assert score(tmp_path / "given.csv", tmp_path / "true.csv") == 0.75
    (tmp_path / "given.csv").write_text("ImageId,Label\n1,7\n")
    with pytest.raises(ValueError, match="identically-labeled"):
        score(tmp_path / "given.csv", tmp_path / "true.csv")


def test_a_number_is_found_by_its_name_in_what_was_printed() -> None:
    cost = Cost(1, 1, 1, "epoch 1\nfit 2.5\nrate 3e9\n")
    assert (printed(cost, "fit"), printed(cost, "rate")) == (2.5, 3e9)
    with pytest.raises(ValueError, match="not enough values"):
        printed(cost, "step")
