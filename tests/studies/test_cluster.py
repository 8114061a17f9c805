import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from digits.errors import InputError
from digits.params import load_params
from proofs.sandbox import draw_images
from studies.trial import Fit, Rows, train_network
from tests.conftest import list_listening

pytest.importorskip("ray", reason="Ray comes with `make test-long`")
from studies.cluster import Cluster, cluster, sheltered


def draw_rows() -> Rows:
    pixels, labels = draw_images(90)
    images = (pixels / 255).astype(np.float32)
    return Rows(images, labels, np.arange(90) // 45, images[:0], labels[:0])


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match=r"RAY_ADDRESS = 127\.0\.0\.1:1: .*expected a Ray cluster"):
        cluster(draw_rows()).__enter__()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        with cluster(draw_rows()) as machines:
            yield machines


def test_what_ray_has_written_goes_even_when_the_block_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", "/" + 100 * "a")
    with pytest.raises(ZeroDivisionError), sheltered() as variables:
        folder = Path(variables["RAY_TMPDIR"])
        (folder / "ray").mkdir()
        divide()
    assert not folder.exists()


@pytest.mark.long
def test_more_threads_than_any_machine_has_cores_share_what_there_is(
    project: Path, machines: Cluster
) -> None:
    tasks = {0: (load_params(changes={"numerics.threads": 1000}),)}
    assert list(machines.run(name_process, tasks))


def test_what_a_task_cannot_do_is_told_in_its_own_words_and_the_others_go_on(
    project: Path, machines: Cluster
) -> None:
    params = [load_params(changes={"numerics.threads": 1, "train.lr": x}) for x in (1e20, 0.1)]
    found = dict(machines.run(train_network, {one.train.lr: (one, 0) for one in params}))
    assert isinstance(found[0.1], Fit)
    assert isinstance(found[1e20], InputError)
    assert re.match(r"params.yaml: train.lr: the loss is .* smaller", str(found[1e20]))
    assert "\n" not in str(found[1e20])


def test_a_ray_of_this_machine_is_out_of_reach_of_others(project: Path, machines: Cluster) -> None:
    assert list(machines.run(name_process, {0: (load_params(),)}))
    assert list_listening(psutil.Process()) == {"127.0.0.1"}
    assert not any(Path.home().iterdir())
    [folder] = Path(os.environ["RAY_TMPDIR"]).iterdir()
    assert any(folder.glob("session_*/sockets/*"))
    assert folder.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.long
def test_a_mode_of_arithmetic_has_processes_of_its_own(project: Path, machines: Cluster) -> None:
    processes = []
    for mode in ("machine", "portable"):
        params = load_params(changes={"numerics.mode": mode, "numerics.threads": 1})
        found = dict(machines.run(name_process, dict.fromkeys(range(8), (params,))))
        processes.append(set(found.values()))
    assert not processes[0] & processes[1]


def test_a_bug_in_a_task_shows_where_it_is(project: Path, machines: Cluster) -> None:
    with pytest.raises(ZeroDivisionError, match=r"in divide"):
        list(machines.run(divide, {0: (load_params(),)}))


def divide(*_: object) -> float:
    return 1 / 0


def name_process(*_: object) -> int:
    return os.getpid()
