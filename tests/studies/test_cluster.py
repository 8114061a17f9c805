import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from digits.errors import InputError
from digits.params import load_params
from studies.trial import Fit, Rows, train_network
from tests.conftest import list_listening
from tests.sandbox import CLASSES, draw_images

pytest.importorskip("ray", reason="Ray comes with `make test-long`")
import ray

from studies.cluster import Cluster, cluster, share, sheltered


def draw_rows() -> Rows:
    pixels, labels = draw_images(90)
    images = (pixels / 255).astype(np.float32)
    return Rows(images, labels, CLASSES, np.arange(90) // 45, images[:0], labels[:0])


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match=r"RAY_ADDRESS = 127\.0\.0\.1:1: .*expected a Ray cluster"):
        cluster(draw_rows()).__enter__()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("DIGITS_DEVICE", "cuda")
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


@pytest.mark.parametrize(
    ("cores", "tasks", "each"),
    [
        ([2], 1, 2),
        ([2], 2, 1),
        ([2], 50, 1),
        ([16], 3, 5),
        ([16, 4], 2, 4),  # the smaller machine takes any of them
        ([0, 8], 2, 4),  # nothing runs on the first
        ([0], 1, 1),
        ([], 1, 1),
        ([8], 0, 8),
    ],
)
def test_tasks_have_a_core_each_or_more_where_cores_would_be_left(
    monkeypatch: pytest.MonkeyPatch, cores: list[float], tasks: int, each: int
) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": count} if count else {}} for count in cores]
    dead = {"Alive": False, "Resources": {"CPU": 1.0}}
    monkeypatch.setattr("ray.nodes", lambda: [*nodes, dead])
    assert share(tasks) == each


def test_a_task_has_as_many_threads_as_cores_and_the_cpu_whatever_is_exported(
    project: Path, machines: Cluster
) -> None:
    found = list(machines.run(describe_process, {0: (load_params(),)}))
    [node] = ray.nodes()
    assert found == [(0, (node["Resources"]["CPU"], "cpu"))]


def test_what_a_task_cannot_do_is_told_in_its_own_words_and_the_others_go_on(
    project: Path, machines: Cluster
) -> None:
    params = [load_params(changes={"train.lr": x}) for x in (1e20, 0.1)]
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


def test_a_bug_in_a_task_shows_where_it_is(project: Path, machines: Cluster) -> None:
    with pytest.raises(ZeroDivisionError, match=r"in divide"):
        list(machines.run(divide, {0: (load_params(),)}))


def divide(*_: object) -> float:
    return 1 / 0


def describe_process(*_: object) -> tuple[int, str]:
    return torch.get_num_threads(), os.environ["DIGITS_DEVICE"]


def name_process(*_: object) -> int:
    return os.getpid()
