import pytest
import torch

from digits.errors import InputError
from digits.network.device import APART, TRIED, Pace, choose_device, describe_device


class Machine:
    """A clock that only steps move on, each by what it costs with the threads that it has.

    Attributes:
        costs: the seconds of a step, by number of threads.
        threads: as many as are set.
        now: in seconds.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.costs: dict[int, float] = {}
        self.threads, self.now = 0, 1.0
        patch.setattr("digits.network.device.perf_counter", lambda: self.now)
        patch.setattr("digits.network.device.torch.set_num_threads", self.set_threads)
        patch.setattr("digits.network.device.torch.get_num_threads", lambda: self.threads)

    def set_threads(self, threads: int) -> None:
        self.threads = threads

    def begin(self, most: int, costs: dict[int, float]) -> Pace:
        """Return a pace with up to so many threads, each number of which has its costs."""
        self.threads, self.costs = most, costs
        return Pace()

    def run(self, pace: Pace, steps: int) -> list[int]:
        """Return the threads that each of some steps had."""
        had = []
        for _ in range(steps):
            with pace.step():
                had.append(self.threads)
                self.now += self.costs[self.threads]
        return had


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("asked", [None, "", "cpu", "cuda", "cuda:1", "a\nb"])
def test_a_gpu_is_taken_where_there_is_one_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, gpu: bool
) -> None:
    monkeypatch.delenv("DIGITS_DEVICE", raising=False)
    if asked is not None:
        monkeypatch.setenv("DIGITS_DEVICE", asked)
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    if asked in (None, "", "cpu") or (asked == "cuda" and gpu):
        torch.set_float32_matmul_precision("medium")
        assert choose_device() == torch.device("cuda" if gpu and asked != "cpu" else "cpu")
        # All bits of products are kept, whatever the environment allows.
        assert torch.get_float32_matmul_precision() == "highest"
    else:
        told = (
            ": torch finds no GPU; expected 'cpu'"
            if asked == "cuda"
            else "; expected 'cpu' or 'cuda'"
        )
        with pytest.raises(InputError) as caught:
            choose_device()
        escaped = repr(asked)
        assert str(caught.value) == f"environment: DIGITS_DEVICE = {escaped}{told}"


def test_a_device_is_described_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    assert describe_device(torch.device("cpu")) == "the CPU, with up to 3 threads"
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"a GPU, {device}")
    assert describe_device(torch.device("cuda")) == "a GPU, cuda"


@pytest.mark.parametrize(
    ("most", "numbers"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_each_power_of_two_and_all_threads_are_tried(
    machine: Machine, most: int, numbers: list[int]
) -> None:
    pace = machine.begin(most, dict.fromkeys(numbers, 1.0))
    tried = machine.run(pace, TRIED * len(numbers))
    assert tried == [number for number in numbers for _ in range(TRIED)]


@pytest.mark.parametrize(
    ("costs", "fastest"),
    [({1: 1, 2: 2, 4: 2}, 1), ({1: 3, 2: 1, 4: 2}, 2), ({1: 3, 2: 2, 4: 1}, 4)],
)
def test_the_fastest_number_of_threads_is_kept(
    machine: Machine, costs: dict[int, float], fastest: int
) -> None:
    pace = machine.begin(4, costs)
    assert set(machine.run(pace, 10 * TRIED)[3 * TRIED :]) == {fastest}


def test_one_slow_step_does_not_decide(machine: Machine) -> None:
    pace = machine.begin(2, {1: 2, 2: 5})
    machine.run(pace, TRIED + 1)
    machine.costs[2] = 1
    assert set(machine.run(pace, 10 * TRIED)) == {2}


def test_a_trial_is_made_anew_when_many_times_its_own_time_is_over(machine: Machine) -> None:
    pace = machine.begin(2, {1: 2, 2: 1})
    trial = TRIED * (2 + 1)
    assert set(machine.run(pace, 2 * TRIED + APART * trial)[2 * TRIED :]) == {2}
    machine.costs = {1: 1.4, 2: 1.9}
    again = machine.run(pace, 5 * TRIED)
    assert again[: 2 * TRIED] == [1] * TRIED + [2] * TRIED
    assert set(again[2 * TRIED :]) == {1}


def test_threads_that_wait_for_a_busy_core_are_given_up_at_once_and_for_long(
    machine: Machine,
) -> None:
    pace = machine.begin(4, {1: 1, 2: 200, 4: 300})
    ran = machine.run(pace, TRIED + 1 + APART * 200)
    assert ran == [1] * TRIED + [2] + [1] * (APART * 200)


def test_a_neighbour_that_comes_is_noticed_in_the_next_step(machine: Machine) -> None:
    pace = machine.begin(2, {1: 2, 2: 1})
    assert machine.run(pace, 3 * TRIED)[-1] == 2
    machine.costs[2] = 200
    assert machine.run(pace, 2 + 2 * TRIED) == [2] + [1] * TRIED + [2] + [1] * TRIED


def test_a_slow_step_of_one_thread_begins_no_trial(machine: Machine) -> None:
    pace = machine.begin(2, {1: 1, 2: 2})
    machine.run(pace, 2 * TRIED)
    machine.costs[1] = 4
    assert machine.run(pace, 2 * TRIED) == [1] * 2 * TRIED


def test_what_follows_has_as_many_threads_as_before(machine: Machine) -> None:
    pace = machine.begin(4, {1: 1, 2: 2, 4: 2.5})
    machine.run(pace, 4 * TRIED)
    assert machine.threads == 1
    pace.end()
    assert machine.threads == 4
