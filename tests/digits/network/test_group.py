import logging
import os
import sys
from argparse import Namespace
from queue import Queue
from threading import Event, Thread, get_native_id
from types import SimpleNamespace

import pytest

from digits.errors import InputError
from digits.network.group import (
    asked,
    compare,
    keep_apart,
    not_preempting,
    read_variable,
    refuse_many,
    set_variables,
    start,
)
from digits.network.workers import Workers
from digits.params import Train
from tests.conftest import tiny_params
from tests.digits.network.test_workers import together


def test_workers_are_started_where_they_are_asked_for_but_by_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert asked() == 0
    monkeypatch.setenv("DIGITS_WORKERS", "3")
    assert asked() == 3
    monkeypatch.setenv("DIGITS_WORKERS", "1")
    assert asked() == 0
    monkeypatch.setenv("PET_RDZV_ENDPOINT", "host:1")  # with those of other machines
    assert asked() == 1
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert asked() == 0


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "two", "1000000"])
def test_a_variable_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DIGITS_WORKERS", text)
    line = f"environment: DIGITS_WORKERS = '{text}'; expected a whole number from 1 to 999999"
    with pytest.raises(InputError, match=line):
        read_variable("DIGITS_WORKERS", 1)


@pytest.mark.parametrize(("text", "expected"), [("", 7), ("1", 1), ("999999", 999_999)])
def test_a_variable_that_is_a_number_is_taken_and_an_empty_one_is_none(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: int
) -> None:
    monkeypatch.setenv("DIGITS_WORKERS", text)
    assert read_variable("DIGITS_WORKERS", 7) == expected


def test_more_workers_than_rows_in_a_batch_are_refused() -> None:
    params = Train(**tiny_params({"train.batch_size": 10})["train"])
    refuse_many(10, params)
    with pytest.raises(InputError, match="11 workers, and 10 rows in a batch; expected no more"):
        refuse_many(11, params)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return an environment of its own, without what torchrun or a worker reads."""
    names = ("PET_", "DIGITS_", "OMP_", "TORCH", "PYTHON")
    found = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    monkeypatch.setattr(os, "environ", found)
    monkeypatch.setattr("torch.get_num_threads", lambda: 5)
    monkeypatch.setattr(logging, "disable", lambda: None)
    return found


SET = {"PET_MAX_RESTARTS": "3", "PET_RDZV_BACKEND": "c10d", "DIGITS_STARTED": "1"}
SET |= {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


@pytest.mark.parametrize(("workers", "threads"), [(1, "5"), (2, "2"), (6, "1")])
def test_workers_share_the_threads_and_variables_that_are_set_stay_as_they_are(
    variables: dict[str, str], workers: int, threads: str
) -> None:
    before = {*variables}
    set_variables(workers)
    found = {name: variables[name] for name in {*variables} - before}
    assert found == SET | {"OMP_NUM_THREADS": threads}
    given = dict.fromkeys([*found, "PYTHONPATH"], "given")
    variables |= given
    set_variables(workers)
    assert variables.items() >= given.items()


def test_what_python_ignores_here_does_not_reach_workers(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {*variables, *SET, "OMP_NUM_THREADS", "OLD_PYTHON"}
    variables |= dict.fromkeys(["PYTHONPATH", "PYTHONHASHSEED", "OLD_PYTHON"], "1")
    monkeypatch.setattr(sys, "flags", SimpleNamespace(ignore_environment=1))
    set_variables(5)
    assert {*variables} == kept


ELSEWHERE = {"PET_RDZV_ENDPOINT": "host:1"}


@pytest.mark.parametrize(
    ("given", "alone", "machines"),
    [
        ({}, True, "1:1"),
        ({"PET_NNODES": "1"}, True, "1"),
        (ELSEWHERE, False, "1:1"),
        (ELSEWHERE | {"PET_NNODES": "2"}, False, "2"),
    ],
)
def test_torchrun_starts_the_workers_of_this_machine_alone_unless_others_are_named(
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    alone: bool,
    machines: str,
) -> None:
    variables |= given
    told = list[Namespace]()
    monkeypatch.setattr("torch.distributed.run.run", told.append)
    start(3, "stages", "train")
    assert variables.items() >= (SET | {"OMP_NUM_THREADS": "1"}).items()
    [found] = told
    assert (found.standalone, found.nnodes, found.nproc_per_node) == (alone, machines, "3")
    assert found.module
    assert [found.training_script, *found.training_script_args] == ["stages", "train"]


@pytest.mark.parametrize(
    ("name", "told", "expected"),
    [
        (
            "PET_NNODES",
            "PET_NNODES = 'x', and no PET_RDZV_ENDPOINT",
            "HOST:PORT of the machine that starts the group",
        ),
        (
            "PET_MAX_RESTARTS",
            "argument --max-restarts/--max_restarts: invalid int value: 'x'",
            "variables PET_ as torchrun reads them",
        ),
    ],
)
@pytest.mark.usefixtures("variables")
def test_variables_with_which_torchrun_cannot_start_are_told(
    monkeypatch: pytest.MonkeyPatch, name: str, told: str, expected: str
) -> None:
    monkeypatch.setitem(os.environ, name, "x")
    with pytest.raises(InputError, match=f"^environment: {told}; expected {expected}$"):
        start(2, "stages", "train")


def test_a_worker_that_has_something_else_is_named_by_all() -> None:
    def meet(workers: Workers) -> str:
        compare(workers, {"torch": "2", "params.yaml": "a"})
        with pytest.raises(InputError) as told:
            compare(workers, {"torch": "2", "params.yaml": "b" if workers.rank == 1 else "a"})
        return str(told.value)

    line = "worker 1: params.yaml: not as worker 0 has it; expected the same"
    assert together(3, meet) == [line] * 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no cores can be chosen here")
@pytest.mark.parametrize(
    ("workers", "expected"), [(2, [{0, 1}, {2, 4}]), (3, [{0}, {1}, {2, 4}]), (5, 0)]
)
def test_workers_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, workers: int, expected: list[set[int]]
) -> None:
    given = list[set[int]]()
    monkeypatch.setattr(os, "sched_getaffinity", {0: {0, 1, 2, 4}}.__getitem__)  # of this thread
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, own: {0: given}[pid].append(set(own)))
    for local in range(workers):
        keep_apart(local, workers)
    assert given == expected if expected else all(len(one) == 1 for one in given)


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="there are no policies here")
def test_what_starts_meanwhile_takes_no_core_from_others_and_this_thread_is_as_before() -> None:
    started, end = Queue[int](), Event()

    def wait() -> None:
        started.put(get_native_id())
        end.wait()

    before = os.sched_getscheduler(0)
    with not_preempting():
        thread = Thread(target=wait)
        thread.start()
    assert os.sched_getscheduler(started.get()) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == before
    end.set()
    thread.join()
