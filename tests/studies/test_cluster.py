import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from digits.errors import InputError
from digits.params import load_params
from studies.trial import Rows
from tests.sandbox import CLASSES, draw_images

pytest.importorskip("ray", reason="the extra studies")

from studies.cluster import Cluster, cluster, share_cores


def draw_rows() -> Rows:
    pixels, labels = draw_images(90)
    return Rows(pixels, labels, CLASSES, np.arange(90) // 45, pixels[:0], labels[:0])


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match=r"RAY_ADDRESS = 127\.0\.0\.1:1: .*expected a Ray cluster"):
        cluster(draw_rows()).__enter__()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b""])
def test_a_server_that_is_no_ray_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr("studies.cluster.PATIENCE", 0.2)
    monkeypatch.setattr("studies.cluster.ray.init", pytest.fail)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with ThreadPoolExecutor() as other, pytest.raises(InputError) as told:
            accepted = other.submit(lambda: server.accept()[0])
            if answer:
                accepted.add_done_callback(lambda done: done.result().sendall(answer))
            cluster(draw_rows()).__enter__()
        accepted.result().close()
    reason = "not what Ray answers" if answer else "timed out"
    assert str(told.value).startswith(f"RAY_ADDRESS = {address}: {reason}; expected a Ray cluster")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("OMP_NUM_THREADS", "99")
        patch.setenv("DIGITS_DEVICE", "cuda")
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        with cluster(draw_rows()) as machines:
            yield machines


def test_tasks_share_the_cores_and_train_on_the_cpu_whatever_is_exported(
    project: Path, machines: Cluster
) -> None:
    cores = os.cpu_count() or 1
    for count, threads in ((1, cores), (cores, 1), (cores + 1, 1)):
        tasks = dict.fromkeys(range(count), (load_params(),))
        assert {found for _, found in machines.run(describe_process, tasks)} == {(threads, "cpu")}


@pytest.mark.parametrize(
    ("machines_cores", "tasks", "cores"),
    [
        ([16], 3, 5),
        ([16], 17, 1),
        ([8, 8], 3, 4),  # with 5 each, one would have to wait
        ([16, 4], 1, 4),  # where the larger one dies, the smaller takes over
    ],
)
def test_each_task_has_as_many_cores_as_let_all_run_at_once(
    machines_cores: list[int], tasks: int, cores: int
) -> None:
    assert share_cores(machines_cores, tasks) == cores


def test_a_ray_of_this_machine_is_out_of_reach_of_others(project: Path, machines: Cluster) -> None:
    assert list(machines.run(describe_process, {0: (load_params(),)}))
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    open_here = [one for process in processes for one in process.net_connections()]
    listening = {one.laddr.ip for one in open_here if one.status == psutil.CONN_LISTEN}
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert not any(Path.home().iterdir())
    [folder] = Path(os.environ["RAY_TMPDIR"]).iterdir()
    assert any(folder.glob("session_*/sockets/*"))
    assert folder.parent.stat().st_mode & 0o777 == 0o700


def describe_process(*_: object) -> tuple[int, str]:
    return torch.get_num_threads(), os.environ["DIGITS_DEVICE"]
