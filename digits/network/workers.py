"""Workers: processes that train one network together, each on its own share of the rows.

What must be known of a whole batch, they tell each other: largest magnitudes, and sums of whole
numbers, which are exact, so that neither the number of workers nor their shares reach a result.
Gradients of weights are not summed: each worker makes those of its part of the weights, whole, of
the two factors that they are the product of, which are smaller (Xie et al. 2016, "Lighter-
communication distributed machine learning via sufficient factor broadcasting"). It takes the step
of this part alone, and tells its weights in as few bits as products take.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, pairwise, repeat
from typing import NamedTuple

import torch
from torch import Tensor, distributed
from torch.nn import functional

from digits import exact
from digits.errors import one_line
from digits.exact import Quantised, power_within, quantise, unit
from digits.network.model import FORWARD_BITS

ALIGNED = 8  # bytes
Factors = tuple[Quantised[Tensor], Quantised[Tensor]]  # inputs and errors of a layer, by rows


@dataclass
class Workers:
    """This worker, from 0, of so many; alone unless said."""

    rank: int = 0
    size: int = 1
    leads: bool = True  # is the one of its machine that writes
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    _known: Tensor = field(default_factory=lambda: torch.empty(0), init=False)  # powers of weights

    def shards(self, length: int) -> list[slice]:
        """Return which of so many things in a row are each worker's."""
        ends = (length * number // self.size for number in range(self.size + 1))
        return [slice(*pair) for pair in pairwise(ends)]

    def shard(self, length: int) -> slice:
        """Return which of so many things in a row are this worker's."""
        return self.shards(length)[self.rank]

    def deal(self, batch: Tensor, rows: int) -> tuple["Share", Tensor]:
        """Return this worker's share of a batch, and which of its own rows are in it.

        The batch is of so many rows, each of which is in the shard of one worker.
        """
        if self.size == 1:
            return Share(self, slice(None), [len(batch)]), batch
        shards = self.shards(rows)
        ends = torch.tensor([one.stop for one in shards], device=batch.device)
        owners = torch.bucketize(batch, ends, right=True)
        own = (owners == self.rank).nonzero()[:, 0]
        counts = owners.bincount(minlength=self.size).tolist()
        return Share(self, own, counts), batch[own] - shards[self.rank].start

    def swap(self, given: Sequence[Sequence[Tensor]], taken: Sequence[Sequence[Tensor]]) -> None:
        """Give each worker its tensors, and take those that it has for this one, all contiguous."""
        for one, own in zip(taken[self.rank], given[self.rank], strict=True):
            one.copy_(own)
        given, taken = (
            [part if rank != self.rank else [] for rank, part in enumerate(parts)]
            for parts in (given, taken)
        )
        sent = [[_pack(one) for one in ours] for ours in given]
        lengths = [[one.nbytes + -one.nbytes % ALIGNED for one in theirs] for theirs in taken]
        everything = torch.cat([one for ours in sent for one in ours])
        found = everything.new_empty(sum(map(sum, lengths)))
        totals = [sum(map(len, ours)) for ours in sent], list(map(sum, lengths))
        self._exchange(everything, found, *totals)
        parts = found.split([length for theirs in lengths for length in theirs])
        for one, part in zip((one for theirs in taken for one in theirs), parts, strict=True):
            one.view(-1).copy_(part[: one.nbytes].view(one.dtype))

    def gather(self, values: Tensor) -> Tensor:
        """Return the values of all workers, which have one shape, stacked."""
        if self.size == 1:
            return values[None]
        values = values.to(self.device)
        sent = values.expand(self.size, *values.shape).contiguous()
        found = torch.empty_like(sent)
        self._exchange(sent, found)
        return found

    def _exchange(
        self,
        sent: Tensor,
        found: Tensor,
        given: list[int] | None = None,
        taken: list[int] | None = None,
    ) -> None:
        """Exchange parts of flat tensors with all workers: equal ones, unless lengths are given."""
        with losing():
            work = distributed.all_to_all_single(found, sent, taken, given, async_op=True)
            # To be woken takes far longer than what is waited for.
            while self.device.type == "cpu" and not work.is_completed():
                os.sched_yield()
            work.wait()

    def furthest(self, content: bytes, *done: int) -> bytes:
        """Return the content of the worker that has done the most: so many of each, in order."""
        if self.size == 1:
            return content
        (*known,) = map(tuple, self.gather(torch.tensor([*done, len(content)])).tolist())
        if len(set(known)) == 1:
            return content
        most = known.index(max(known))
        found = torch.zeros(known[most][-1], dtype=torch.uint8, device=self.device)
        if self.rank == most:
            found = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(self.device)
        parts = [[found if rank == most else found[:0]] for rank in range(self.size)]
        self.swap([parts[self.rank]] * self.size, parts)
        return found.cpu().numpy().tobytes()

    def largest(self, values: Tensor) -> Tensor:
        """Return the largest of all workers' values, one by one."""
        return self.gather(values).amax(0)

    def summed(self, values: Tensor) -> Tensor:
        """Return the sums of all workers' values, one by one, which are exact."""
        return self.gather(values).sum(0)

    def total(self, values: Tensor, terms: int) -> Tensor:
        """Return the sum of so many float64 values, of which this worker has some, (rows,)."""
        return self.summed(exact.total(values, 0, terms, self.largest(power_within(values))))

    def complete(self, vector: Tensor, parts: Sequence[Sequence[slice]]) -> None:
        """Take each worker's parts of a vector from it, in place."""
        if self.size > 1 and len(vector):
            pieces = [[vector[part] for part in one] for one in parts]
            self.swap([pieces[self.rank]] * self.size, pieces)

    def quantise(self, weights: Sequence[Tensor]) -> list[Quantised[Tensor]]:
        """Return the weights of layers, (inputs, outputs), in FORWARD_BITS.

        This worker knows the lines that are its `shard`, and takes the others from theirs: by the
        units of last time, and once more where these have changed.
        """
        if self.size == 1:
            return [quantise(one, FORWARD_BITS) for one in weights]
        own = [one[self.shard(len(one))] for one in weights]
        powers = torch.stack(list(map(power_within, own)))
        whole = [one.new_empty(one.shape, dtype=torch.int8) for one in weights]
        by_layer = [[one[part] for part in self.shards(len(one))] for one in whole]
        known = self._known if len(self._known) == len(own) else self.largest(powers)
        while True:
            found = powers.new_empty(self.size, len(powers))
            given = [powers, *map(_count, own, known, repeat(FORWARD_BITS), repeat(torch.int8))]
            self.swap([given] * self.size, list(zip(found, *by_layer, strict=True)))
            known, before = found.amax(0), known
            if torch.equal(known, before):
                self._known = known
                return list(map(Quantised, whole, known, repeat(FORWARD_BITS)))


ALONE = Workers()


class Share(NamedTuple):
    """A worker's share of a batch."""

    workers: Workers
    own: Tensor | slice  # which rows of the batch are this worker's, shape (rows,), int64
    counts: Sequence[int]  # how many are each worker's

    @property
    def rows(self) -> int:
        """How many rows the batch has."""
        return sum(self.counts)

    def quantise(self, values: Tensor, bits: int, power: Tensor | None = None) -> Quantised[Tensor]:
        """Return own lines of a matrix by the unit of all, whose power may be known already."""
        if power is None:
            power = self.workers.largest(power_within(values))
        return Quantised.within(values, power, bits)

    def lines(self, matrix: Quantised[Tensor]) -> Quantised[Tensor]:
        """Return those lines of a matrix, with as many for each row, that are of own rows."""
        columns = matrix.shape[1]
        found = matrix.values.view(self.rows, -1)[self.own].view(-1, columns)
        return Quantised(found, matrix.power, matrix.bits)

    def gather(self, factors: Sequence[Factors]) -> Sequence[Factors]:
        """Return the inputs in the columns that are this worker's `shard`, and errors, of all rows.

        Factors are whole numbers of at most 6 and 12 bits, of units that all workers share.
        """
        if self.workers.size == 1:
            return factors
        rows = [slice(*pair) for pair in pairwise(accumulate(self.counts, initial=0))]
        given, taken = ([list[Tensor]() for _ in rows] for _ in range(2))
        whole = []
        for pair in factors:
            kinds = zip(pair, (torch.int8, torch.int16), strict=True)
            inputs, errors = (_count(one.values, one.power, one.bits, kind) for one, kind in kinds)
            columns = self.workers.shards(inputs.shape[1])
            mine = inputs[:, columns[self.workers.rank]]
            found = [one.new_empty(self.rows, one.shape[1]) for one in (mine, errors)]
            for rank, part in enumerate(rows):
                given[rank] += [inputs[:, columns[rank]].contiguous(), errors]
                taken[rank] += [one[part] for one in found]
            whole.append(found)
        self.workers.swap(given, taken)
        return [
            (Quantised(a, one.power, one.bits), Quantised(b, other.power, other.bits))
            for (a, b), (one, other) in zip(whole, factors, strict=True)
        ]


def _pack(values: Tensor) -> Tensor:
    """Return the bytes of a tensor, uint8, and so many more that others may follow them."""
    found = values.reshape(-1).view(torch.uint8)
    more = -len(found) % ALIGNED
    return functional.pad(found, [0, more]) if more else found


def _count(values: Tensor, power: Tensor, bits: int, kind: torch.dtype) -> Tensor:
    """Return values, rounded as `Quantised.within` does it, as whole numbers of their unit."""
    return (values / unit(power, bits)).round_().to(kind)


@contextmanager
def losing() -> Iterator[None]:
    """End this worker where another has ended, or does not answer: torchrun starts all again."""
    try:
        yield
    except RuntimeError as error:
        sys.exit(f"warning: another worker has ended, or does not answer ({one_line(error)})")
