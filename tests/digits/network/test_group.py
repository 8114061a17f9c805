import os
from queue import Queue
from threading import Event, Thread, get_native_id

import pytest

from digits.errors import InputError
from digits.network.group import (
    asked,
    compare,
    keep_apart,
    not_preempting,
    read_variable,
    refuse_many,
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


def test_more_workers_than_rows_in_a_batch_are_refused() -> None:
    params = Train(**tiny_params({"train.batch_size": 10})["train"])
    refuse_many(10, params)
    with pytest.raises(InputError, match="11 workers, and 10 rows in a batch; expected no more"):
        refuse_many(11, params)


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
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 4})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: given.append(set(cores)))
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
