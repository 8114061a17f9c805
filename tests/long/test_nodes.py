"""A study on a Ray of two nodes, one of which is killed half-way: it ends in the same bytes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from studies.design import RESULTS
from tests.sandbox import ROOT

pytest.importorskip("ray", reason="the extra studies")
from ray._private import ray_constants
from ray.cluster_utils import Cluster

from studies.cluster import SETTINGS, sheltered

pytestmark = pytest.mark.long
PATIENCE = 300.0  # seconds for a training to begin on each node
STUDY = """\
variants:
  plain: {recipe: params.yaml, set: {train.epochs: 2000}, seeds: 4}
folds: 2
test: false
"""


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Yield a Ray of two nodes of a core each, on the loopback."""
    with sheltered() as variables:
        for name, value in (SETTINGS | variables).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False})
        cluster.add_node()
        yield cluster
        cluster.shutdown()


def run_study(path: Path, address: str = "") -> subprocess.Popen[bytes]:
    variables = os.environ | {"PYTHONPATH": str(ROOT), "RAY_ADDRESS": address}
    return subprocess.Popen([sys.executable, "-m", "studies.run", str(path)], env=variables)


def read_results() -> tuple[bytes, str]:
    """Return the summary of the study, and its table without what differs each time."""
    table = pd.read_csv(RESULTS / "study.csv").drop(columns=["seconds", "commit"])
    return (RESULTS / "study.json").read_bytes(), table.to_csv()


def test_a_study_survives_the_death_of_a_node(repository: Path, nodes: Cluster) -> None:
    path = Path("study.yaml")
    path.write_text(STUDY)
    assert run_study(path).wait() == 0
    expected = read_results()
    [second] = nodes.worker_nodes
    with run_study(path, nodes.address) as study:
        end, journal = time.monotonic() + PATIENCE, Path("study.journal")
        free = nodes.global_state.available_resources_per_node
        while len([*journal.glob("*.json")]) < 2 or free().get(second.node_id, {}).get("CPU"):
            assert study.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        nodes.remove_node(second, allow_graceful=False)
    assert study.returncode == 0
    assert read_results() == expected
