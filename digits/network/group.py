"""The group of workers: torchrun starts it, on one machine or several, and again if one ends.

DIGITS_WORKERS=4 dvc repro
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, suppress
from datetime import timedelta
from hashlib import sha256
from io import StringIO

import torch
from torch import distributed

from digits.errors import InputError, one_line, shorten
from digits.network.workers import ALONE, Workers, losing
from digits.params import Train
from digits.process import STARTED, is_worker

ENDPOINT = "PET_RDZV_ENDPOINT"  # as torchrun reads it: the machine where a group of several meets
RESTARTS = "3"  # of the group, unless PET_MAX_RESTARTS, which torchrun reads, says so
DIGITS = 6  # of a number of the environment, at most
PATIENCE = 300  # seconds until a worker that does not answer is given up


def read_variable(name: str, otherwise: int) -> int:
    """Return a number, from 1 to 999,999, of the environment; `InputError` if it is no such one."""
    text = os.environ.get(name, "") or str(otherwise)
    if not text.isdecimal() or len(text) > DIGITS or not int(text):
        told = f"environment: {name} = {shorten(text)}"
        raise InputError(f"{told}; expected a whole number from 1 to 999999")
    return int(text)


def asked() -> int:
    """Return how many workers this machine is to start, 0 if none: this process does it all."""
    found = read_variable("DIGITS_WORKERS", 1)
    return 0 if is_worker() or (found == 1 and ENDPOINT not in os.environ) else found


def refuse_many(workers: int, params: Train) -> None:
    """Raise `InputError` where there are more workers than rows in a batch."""
    if workers > params.batch_size:
        told = f"environment: {workers} workers, and {params.batch_size} rows in a batch"
        raise InputError(f"{told}; expected no more workers than rows")


def start(workers: int, module: str, argument: str) -> None:
    """Run a module in so many workers, and with those of other machines, if any are named.

    That is done by torchrun's variables: PET_RDZV_ENDPOINT, PET_NNODES and others. `InputError`
    where one is wrong, none answers there, or a worker ends again and again.
    """
    machines, alone = os.environ.get("PET_NNODES", "1"), ENDPOINT not in os.environ
    if alone and machines != "1":
        told = f"environment: PET_NNODES = {machines!r}, and no {ENDPOINT}"
        raise InputError(f"{told}; expected HOST:PORT of the machine that starts the group")
    set_variables(workers)
    logging.disable()  # of torchrun: what there is to be told, workers tell, or what follows
    # It reads the variables as it is imported, and takes long for it.
    from torch.distributed import run  # noqa: PLC0415

    options = ["--nproc-per-node", str(workers), "--module", module, argument]
    options = ["--standalone", *options] if alone else options
    with telling(), redirect_stderr(StringIO()) as said:
        try:
            arguments = run.parse_args(options)
        except SystemExit:
            raise ValueError(said.getvalue().rpartition("error: ")[2]) from None
    with telling():
        run.run(arguments)


def set_variables(workers: int) -> None:
    """Set those that torchrun and the workers that it starts read, but for what is set already."""
    if sys.flags.ignore_environment:  # so does this process
        for name in [one for one in os.environ if one.startswith("PYTHON")]:
            del os.environ[name]
    threads = max(torch.get_num_threads() // workers, 1)
    defaults = {"PET_MAX_RESTARTS": RESTARTS, "PET_RDZV_BACKEND": "c10d"}
    # Otherwise, workers that start again find the addresses of those before (torch 2.13).
    defaults |= {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    for name, value in {**defaults, "OMP_NUM_THREADS": str(threads), STARTED: "1"}.items():
        os.environ.setdefault(name, value)


@contextmanager
def telling() -> Iterator[None]:
    """Raise an `InputError` where torchrun cannot start workers, or gives them up."""
    from torch.distributed.elastic import rendezvous  # noqa: PLC0415  (as above)
    from torch.distributed.elastic.multiprocessing import SignalException, errors  # noqa: PLC0415

    try:
        yield
    except ValueError as error:
        told, expected = one_line(error), "variables PET_ as torchrun reads them"
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        os._exit(1)  # a worker has said why, and torch's threads might add to it
    except errors.ChildFailedError as error:
        rank, failure = error.get_first_failure()
        tries = f"PET_MAX_RESTARTS = {os.environ['PET_MAX_RESTARTS']}"
        told = f"worker {rank} ended with status {failure.exitcode}, after {tries}"
        expected = "it to live"
    except rendezvous.RendezvousTimeoutError:
        told = f"PET_NNODES = {os.environ.get('PET_NNODES')!r}: fewer came in time"
        expected = "as many machines"
    except rendezvous.RendezvousError:
        told = f"{ENDPOINT} = {os.environ.get(ENDPOINT)!r}: no group answers"
        expected = "HOST:PORT of the machine that starts it"
    else:
        return
    raise InputError(f"environment: {told}; expected {expected}")


def keep_apart(local: int, workers: int) -> None:
    """Leave to each worker of this machine cores of its own: to be moved takes long."""
    if hasattr(os, "sched_setaffinity"):  # macOS has none
        cores = sorted(os.sched_getaffinity(0))
        own = cores[len(cores) * local // workers : len(cores) * (local + 1) // workers]
        os.sched_setaffinity(0, own or {cores[local % len(cores)]})


@contextmanager
def not_preempting() -> Iterator[None]:
    """Have threads that start within take a core when it is free, though woken before.

    One of gloo's spins while another holds its lock: if that has lost its core to it, for as long
    as the kernel lets it. With several in a core, exchanges took three times as long.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(OSError):  # containers may forbid it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    yield
    with suppress(OSError):
        os.sched_setscheduler(0, *before)


@contextmanager
def join(device: torch.device, same: Mapping[str, object]) -> Iterator[Workers]:
    """Yield this worker of the group that it was started in, if in any.

    `InputError` on each of them where one has not the same as the first, of what is named.
    """
    if not is_worker():
        yield ALONE
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    rank, size, local, among = (int(os.environ[name]) for name in names)
    if local:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    keep_apart(local, among)
    gpu = device.type == "cuda"
    if gpu and among > (gpus := torch.cuda.device_count()):
        told = f"environment: {among} workers on this machine, and {gpus} GPUs"
        raise InputError(f"{told}; expected no more workers than GPUs, or DIGITS_DEVICE = 'cpu'")
    if gpu:
        torch.cuda.set_device(local)
    patience = timedelta(seconds=read_variable("DIGITS_PATIENCE", PATIENCE))
    with losing(), not_preempting():
        distributed.init_process_group("nccl" if gpu else "gloo", timeout=patience)
    workers = Workers(rank, size, not local, torch.device("cuda", local) if gpu else device)
    try:
        compare(workers, {"torch": torch.__version__.partition("+")[0], **same})
        yield workers
    finally:
        distributed.destroy_process_group()


def compare(workers: Workers, same: Mapping[str, object]) -> None:
    """Raise `InputError` where a worker has not the same as the first, of what is named."""
    own = torch.tensor([list(sha256(repr(one).encode()).digest()) for one in same.values()])
    found = workers.gather(own)
    for rank, theirs in enumerate(found):
        for name, one, first in zip(same, theirs, found[0], strict=True):
            if not torch.equal(one, first):
                raise InputError(
                    f"worker {rank}: {name}: not as worker 0 has it; expected the same"
                )
