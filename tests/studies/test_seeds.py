import json
import re
import sys
from pathlib import Path
from statistics import mean, stdev

import pytest

from stages import prepare, train
from studies import seeds
from tests.conftest import ParamsWriter


def test_each_seed_is_trained_as_the_stage_trains_it(
    project: Path,
    write_params: ParamsWriter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare.main()
    expected = []
    for seed in range(3):
        write_params({"train.epochs": 1, "train.lr": 0.02, "train.seed": seed})
        train.main()
        expected.append(json.loads(train.METRICS.read_text())["validation_accuracy"])
    capsys.readouterr()

    monkeypatch.setattr(sys, "argv", ["seeds", "params.yaml", "--seeds", "3"])
    seeds.main()
    *rows, summary = capsys.readouterr().out.splitlines()
    found = [float(re.sub(r".* ", "", row)) for row in rows]
    assert found == pytest.approx(expected, abs=1e-4)
    assert len(set(expected)) > 1
    assert f"{mean(expected):.4f} +- {stdev(expected):.4f}" in summary
    assert summary.endswith("n = 3)")
