import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from operator import mul
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from digits import exact
from digits.exact import Quantised, log_softmax, quantise, softmax, total
from digits.network import int8
from digits.network.int8 import product

DOUBLE = torch.float64

few = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 2**31)
lengths = st.integers(1, 7)


def draw(seed: int, *shape: int, spread: int = 30) -> Tensor:
    """Draw float32 values of either sign, and of many magnitudes; some are 0."""
    generator = torch.Generator().manual_seed(seed)
    exponents = torch.randint(-spread, spread + 1, shape, generator=generator)
    values = torch.ldexp(torch.rand(shape, generator=generator) * 2 - 1, exponents)
    values *= torch.rand(shape, generator=generator) < 0.9
    values.view(-1)[0] = 2.0**spread * (2 - 2.0**-23)  # which is rounded up
    return values


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Multiply in Python's whole numbers, and round once."""
    rows, columns = ([[*map(Fraction, line)] for line in one.tolist()] for one in (left, right.T))
    sums = [[float(sum(map(mul, row, column))) for column in columns] for row in rows]
    return torch.tensor(sums, dtype=DOUBLE).float()


@contextmanager
def multiplying(*, digits: bool) -> Iterator[None]:
    """Multiply digits of int8 wherever they hold the operands, or nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "LARGE", 0)
        patch.setattr(int8, "_has_int8", lambda _: digits)
        yield


def as_numpy(one: Quantised[Tensor]) -> Quantised[NDArray[Any]]:
    return Quantised(one.values.numpy(), one.power.numpy(), one.bits)


def ulps(found: Tensor, expected: Sequence[Decimal]) -> float:
    """Return by how many units of the last place a value is off, at most."""
    pairs = zip(found.tolist(), expected, strict=True)
    return max(float(abs(Decimal(one) - true)) / math.ulp(one) for one, true in pairs)


# 6 and 8 bits of 1,024 terms are what float32 holds; more of them go to float64.
@pytest.mark.parametrize("digits", [False, True])
@pytest.mark.parametrize("bits", [(6, 8), (8, 6), (7, 6), (12, 6), (13, 6), (13, 13), (22, 22)])
@few
@given(seeds, lengths, st.integers(1, 100), lengths)
@example(seed=0, rows=2, terms=1, columns=3)  # torch's own product of int8 errs in some of these
@example(seed=0, rows=3, terms=5, columns=1)
def test_a_product_is_that_of_whole_numbers_in_any_order_and_parts(
    bits: tuple[int, int], digits: bool, seed: int, rows: int, terms: int, columns: int
) -> None:
    left = quantise(draw(seed, rows, terms), bits[0], 1)
    right = quantise(draw(seed + 1, terms, columns), bits[1], 0)
    expected = multiply(left.values, right.values)
    order = torch.randperm(terms, generator=torch.Generator().manual_seed(seed))
    some, others = order[: terms // 2], order[terms // 2 :]

    def multiply_some(chosen: Tensor) -> Tensor:
        chosen_left = replace(left, numbers=left.numbers[:, chosen])
        return product(chosen_left, replace(right, numbers=right.numbers[chosen]))

    with multiplying(digits=digits):
        found = [product(left, right), product(right.T, left.T).T, multiply_some(order)]
        found += [product(left.T.T, right), product(left, right.T.T)]
        out = torch.empty(rows, columns)
        found += [product(left, right, out), out]
        found.append(torch.from_numpy(exact.product(as_numpy(left), as_numpy(right))))
        if terms > 1 and sum(bits) + math.ceil(math.log2(terms)) <= 24:
            found.append(multiply_some(some) + multiply_some(others))
    assert all(torch.equal(one, expected) for one in found)


@pytest.mark.parametrize(("bits", "kind"), [(6, torch.int8), (12, torch.int16)])
def test_whole_numbers_of_a_unit_are_the_values_that_they_stand_for(
    bits: int, kind: torch.dtype
) -> None:
    expected = quantise(draw(0, 5, 7), bits)
    numbers = (expected.values / expected.unit).to(kind)
    for one, other in (
        (found := Quantised(numbers, expected.power, bits), expected),
        (found.T, expected.T),
    ):
        assert torch.equal(one.values, other.values)
        assert torch.equal(one.digits, other.digits)


@few
@given(seeds, st.sampled_from([torch.float32, DOUBLE]), st.integers(1, 300))
@example(seed=0, dtype=DOUBLE, terms=1)
def test_a_sum_is_that_of_whole_numbers_in_any_order_and_parts(
    seed: int, dtype: torch.dtype, terms: int
) -> None:
    values = draw(seed, terms, 3).to(dtype) / 3
    order = torch.randperm(terms, generator=torch.Generator().manual_seed(seed))
    bits = 52 - math.ceil(math.log2(terms))
    for column, found in zip(values.T, total(values), strict=True):
        units = 2.0**-bits * column.double().abs().max().item()
        expected = sum(map(Fraction, column.tolist()))
        assert abs(Fraction(found.item()) - expected) <= terms * units
        snapped = exact.rounded(column.double(), bits).tolist()
        assert found.item() == float(sum(map(Fraction, snapped)))
        power = exact.power_within(column.double())
        parts = [total(part, 0, terms, power) for part in column[order].tensor_split(3)]
        assert sum(parts).item() == found.item()
    assert torch.equal(total(values[order]), total(values))
    assert torch.equal(total(values.T.contiguous(), 1), total(values))


@pytest.mark.parametrize("dim", [None, 0, 1])
@few
@given(seeds, st.integers(2, 22), lengths, lengths)
def test_values_become_multiples_of_the_least_unit_that_holds_them(
    dim: int | None, seed: int, bits: int, rows: int, columns: int
) -> None:
    values = draw(seed, rows, columns, spread=4)
    found, theirs = quantise(values, bits, dim), quantise(values.numpy(), bits, dim)
    assert found.power.ndim == theirs.power.ndim == (0 if dim is None else 2)
    assert np.array_equal(theirs.values, found.values)
    assert np.array_equal(theirs.unit, found.unit)
    assert np.array_equal(theirs.digits, found.digits) or bits > 12
    multiples = found.values.double() / found.unit
    assert torch.equal(multiples, (values.double() / found.unit).round())
    most = multiples.abs().amax() if dim is None else multiples.abs().amax(dim=dim)
    assert (most[most > 0] >= 2 ** (bits - 1)).all()
    assert (most <= 2**bits).all()


def test_a_coarser_matrix_has_fewer_bits_of_the_same_unit_of_all() -> None:
    found = quantise(draw(0, 30, 20), 12)
    assert found.coarser(12) is found.coarser(13) is found
    coarser = found.coarser(8)
    assert (coarser.bits, coarser.unit) == (8, found.unit * 16)
    whole = coarser.values / coarser.unit
    assert torch.equal(whole, whole.round())
    assert (coarser.values - found.values).abs().max() <= coarser.unit / 2


@pytest.mark.parametrize("digits", [False, True])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 2.0**112, -(2.0**115), 2.0**127])
def test_what_is_not_finite_or_too_large_is_not_lost_and_what_is_tiny_is_0(
    value: float, digits: bool
) -> None:
    left = torch.tensor([[value, 1, 0], [1, 1, 1], [1e-45, -1e-39, 0], [2.0**100, 0, 0]])
    with multiplying(digits=digits):
        found = product(quantise(left, 8, 1), quantise(torch.ones(3, 2), 6, 0))
    assert not found[0].isfinite().any()
    assert found[1:, 0].tolist() == [3, 0, 2.0**100]
    if not math.isfinite(value):
        assert total(left[0]).isnan()
        assert exact.log(left[:1, 0].double().abs()).isnan()
        assert softmax(left[:1].abs()).isnan().any()


def test_more_terms_than_any_type_holds_are_an_error() -> None:
    left, right = (quantise(torch.ones(shape), 22) for shape in ((1, 1024), (1024, 1)))
    with pytest.raises(OverflowError, match=r"^1024 terms of 44 bits$"):
        product(left, right)
    assert exact.sum_bits(44, 512) == 53


def test_exponentials_logarithms_roots_and_quotients_are_the_true_ones() -> None:
    exponents = torch.arange(-4893, 4894, 5, dtype=DOUBLE) / 7
    assert ulps(exact.exp(exponents), [Decimal(one).exp() for one in exponents.tolist()]) < 2
    values = torch.cat([exact.exp(exponents), 1 + torch.arange(-300, 900, dtype=DOUBLE) / 1000])
    assert ulps(exact.log(values), [Decimal(one).ln() for one in values.tolist()]) < 3
    squares = draw(0, 2000).abs()
    roots = [math.sqrt(one) for one in squares.tolist()]
    assert torch.equal(exact.root(squares), torch.tensor(roots, dtype=DOUBLE).float())
    thirds = exact.over(squares.numpy(), 3)
    assert thirds.dtype == np.float32
    assert np.array_equal(thirds, exact.over(squares, 3))
    assert np.array_equal(thirds, squares.numpy() / np.float32(3))


def test_sines_and_cosines_are_the_true_ones() -> None:
    turns = torch.arange(-1000, 1001, dtype=DOUBLE) / 997
    for found, true in zip(exact.sine_and_cosine(turns), (math.sin, math.cos), strict=True):
        expected = [true(2 * math.pi * one) for one in turns.tolist()]
        assert found.tolist() == pytest.approx(expected, abs=2e-15)
    quarters = torch.arange(-4, 5, dtype=DOUBLE) / 4 + 2**30
    whole = [values.tolist() for values in exact.sine_and_cosine(quarters)]
    assert whole == [[0, 1, 0, -1, 0, 1, 0, -1, 0], [1, 0, -1, 0, 1, 0, -1, 0, 1]]


def test_probabilities_sum_to_1_and_follow_their_classes() -> None:
    logits, order = draw(0, 500, 10, spread=5), torch.tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    shares, logarithms = softmax(logits), log_softmax(logits)
    assert torch.allclose(shares, logits.double().softmax(dim=1), rtol=1e-11, atol=1e-300)
    assert torch.allclose(logarithms, logits.double().log_softmax(dim=1), rtol=1e-11, atol=1e-11)
    assert torch.equal(softmax(logits[:, order]), shares[:, order])


GRID = torch.arange(-4000, 4001, dtype=DOUBLE) / 8
LOGITS = GRID[:8000].view(800, 10) / 37


@pytest.mark.parametrize(
    ("compute", "values", "expected"),
    [
        (exact.exp, GRID * 1.5, "1619d85f4a6e"),
        (exact.log, (GRID[GRID > 0] * 3).square(), "451b1700c4bd"),
        (exact.log, exact.exp(GRID * 1.4), "44fde93d815b"),
        (exact.sine_and_cosine, GRID / 997, "e214255ceee5"),
        (exact.root, GRID.abs().float() / 3, "db4f3100fbcf"),
        (lambda logits: (softmax(logits), log_softmax(logits)), LOGITS, "db14390db40a"),
    ],
)
def test_the_same_bytes_come_out_everywhere(
    compute: Callable[[Any], Any], values: Tensor, expected: str
) -> None:
    for array in (values, values.numpy()):
        found = compute(array)
        parts = found if isinstance(found, tuple) else [found]
        content = b"".join(np.asarray(part).tobytes() for part in parts)
        assert hashlib.sha256(content).hexdigest()[:12] == expected
