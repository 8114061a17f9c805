"""Exact arithmetic: the same bits on any processor, with any number of threads, in any order.

A sum of floating-point numbers depends on the order of its terms because it rounds. Whole numbers
that stay below the precision of their type do not. So what is to be summed is first quantised:
rounded to so few multiples of a unit, a power of two, that every partial sum is exact (Ozaki et al.
2012, "Error-free transformations of matrix multiplication by using fast routines of matrix
multiplication", section 3; with int8, Ootomo, Ozaki and Yokota 2024, "DGEMM on integer matrix
multiplication unit"; of sums alone, Demmel and Nguyen 2015, "Parallel reproducible summation"). All
else is one operation at a time that IEEE 754 rounds correctly: +, -, *, /. What a library fuses or
approximates in its own way (addcmul, lerp, exp, the division by a Python number on a GPU) has no
place here, or where this is called.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, factorial, log2, pi, prod

import torch
from torch import Tensor

FLOAT, DOUBLE = torch.float32, torch.float64
PRECISION = {FLOAT: 24, DOUBLE: 53}  # bits: whole numbers up to 2 ** so many are exact
DIGIT = 6  # bits of a digit of int8, besides its sign: more could saturate in products of AVX2
LARGE = 3 * 2**16  # numbers of a product's largest matrix, from which int8 takes less time
_SMALLEST = 2.0**-50  # smaller ones would make products subnormal, which some kernels take for 0
_EXPONENT = {FLOAT: (torch.int32, 0xFF << 23), DOUBLE: (torch.int64, 0x7FF << 52)}  # its bits
# ln 2 in two parts, the first of so few digits that a product with an exponent is exact.
_LN2 = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")


@dataclass(frozen=True)
class Quantised:
    """A matrix of whole multiples of a unit."""

    values: Tensor  # float32, shape (rows, columns)
    power: Tensor  # unit times 2 ** (bits - 1): of all, shape (), or of each row or column
    bits: int  # no value is more than 2 ** bits units
    turned: "Quantised | None" = None  # what this is the transpose of, if of anything

    @property
    def T(self) -> "Quantised":  # noqa: N802  (as tensors have it)
        """The transpose."""
        power = self.power.mT if self.power.dim() else self.power
        return Quantised(self.values.mT, power, self.bits, self)

    @property
    def unit(self) -> Tensor:
        """What all values are multiples of; infinite where they are not finite any more."""
        return self.power * 2.0 ** (PRECISION[FLOAT] - self.bits) * 2.0 ** (1 - PRECISION[FLOAT])

    @cached_property
    def digits(self) -> Tensor:
        """The digits of the whole numbers, the higher ones first, int8, (rows, digits, columns)."""
        whole = self.values / self.unit
        if self.bits <= DIGIT:
            return whole.to(torch.int8)[:, None]
        whole = whole.to(torch.int16)
        high = (whole + 2 ** (DIGIT - 1)) >> DIGIT
        return torch.stack([high, whole - (high << DIGIT)], dim=1).to(torch.int8)

    def coarser(self, bits: int) -> "Quantised":
        """Return the values as multiples of a larger unit, so that they have no more bits."""
        if bits >= self.bits:
            return self
        return Quantised(_snap(self.values, self.power, bits), self.power, bits)


def quantise(values: Tensor, bits: int, dim: int | None = None) -> Quantised:
    """Return float32 values as multiples, at most 2 ** bits, of the least unit that allows it.

    Bits are at most 22. All have one unit, or each line along `dim` its own; errors are half of it.
    Beyond 2 ** 100 values become infinity or NaN.
    """
    power = _power_within(values, dim)
    return Quantised(_snap(values, power, bits), power, bits)


def rounded(values: Tensor, bits: int) -> Tensor:
    """Return float32 or float64 values, of any shape, rounded as `quantise` does it."""
    return _snap(values, _power_within(values), bits)


def _power_within(values: Tensor, dim: int | None = None) -> Tensor:
    """Return the largest magnitude without its mantissa: a power of two, at least a tiny one."""
    least, most = values.aminmax() if dim is None else values.aminmax(dim=dim, keepdim=True)
    integer, exponent = _EXPONENT[values.dtype]
    power = torch.maximum(most, least.neg_()).view(integer).bitwise_and_(exponent)
    return power.view(values.dtype).clamp_(min=_SMALLEST)


def _snap(values: Tensor, power: Tensor | float, bits: int) -> Tensor:
    """Return values rounded to multiples of 2 ** (1 - bits) times a power of two."""
    # A sum with a number whose last place is that unit is rounded so.
    shift = power * (1.5 * 2.0 ** (PRECISION[values.dtype] - bits))
    return (values + shift).sub_(shift)


def product(left: Quantised, right: Quantised, out: Tensor | None = None) -> Tensor:
    """Return the product of two matrices in float32, exact up to 24 bits, else rounded once.

    The left may have a unit for each row, the right one for each column. A sum of n terms has at
    most left.bits + right.bits + log2(n) bits: float32, or int32 of products of int8, holds 24,
    float64 53, and more are an OverflowError. Only the sign of a zero shows which of them did it.
    """
    (rows, terms), columns = left.values.shape, right.values.shape[1]
    bits = left.bits + right.bits + ceil(log2(terms))
    if bits > PRECISION[DOUBLE]:
        raise OverflowError(f"{terms} terms of {left.bits + right.bits} bits")
    if bits > PRECISION[FLOAT]:
        wide = (left.values.to(DOUBLE) @ right.values.to(DOUBLE)).to(FLOAT)
        return wide if out is None else out.copy_(wide)
    # Where a dimension is 1, torch 2.13's product of int8 may read a transposed matrix wrongly.
    short, *long = sorted((rows, terms, columns))
    if short > 1 and prod(long) >= LARGE and _has_int8(left.values.device):
        # One has one digit, and the other as many, or is no transpose and has two.
        few, more = (left, right) if left.bits < right.bits else (right, left)
        if few.bits <= DIGIT and more.bits <= (DIGIT if more.turned else 2 * DIGIT):
            return torch.mul(_multiply_digits(left, right), left.unit * right.unit, out=out)
    return torch.mm(left.values, right.values, out=out)


def _multiply_digits(left: Quantised, right: Quantised) -> Tensor:
    """Return the product of whole numbers, int32, shape (rows, columns)."""
    lines = left.turned.digits[:, 0].T if left.turned else left.digits.flatten(0, 1)
    columns = right.turned.digits[:, 0].T if right.turned else right.digits.flatten(1)
    found = torch._int_mm(lines, columns)  # noqa: SLF001
    # Each row's digits follow one another, be they of the left or of the right.
    parts = found.view(len(left.values), -1, right.values.shape[1]).unbind(1)
    return parts[0] if len(parts) == 1 else parts[1].add_(parts[0], alpha=2**DIGIT)


@cache
def _has_int8(device: torch.device) -> bool:
    """Return whether products of int8 are faster than those of float32: processors say so."""
    units = ("avx512_vnni", "avx_vnni", "amx_int8")
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older ones do not say
    return device.type == "cpu" and any(map(known.get, units))


def total(values: Tensor, dim: int = 0) -> Tensor:
    """Return the sum of float32 or float64 values along a dimension, in float64.

    Each is rounded to a 2 ** (log2(terms) - 53) of the largest magnitude of all.
    """
    terms = max(values.shape[dim], 1)
    return rounded(values.to(DOUBLE), PRECISION[DOUBLE] - 1 - ceil(log2(terms))).sum(dim)


def over(values: Tensor, divisor: float) -> Tensor:
    """Return the quotient; a GPU divides by a number, but not by a tensor, with two roundings."""
    return values / torch.full((), divisor, dtype=values.dtype, device=values.device)


def root(values: Tensor) -> Tensor:
    """Return square roots of float32 values, correctly rounded: float64's have digits enough."""
    return values.to(DOUBLE).sqrt().to(FLOAT)


def exp(values: Tensor) -> Tensor:
    """Return e ** x of float64 values, within 2 units of the last place; beyond +-700, as there."""
    values = values.clamp(-700, 700)
    exponent = (values * _LOG2_E).round_()
    rest = (values - exponent * _LN2[0]).sub_(exponent * _LN2[1])
    power = rest * (1 / factorial(13)) + 1 / factorial(12)
    for degree in range(11, -1, -1):
        power.mul_(rest).add_(1 / factorial(degree))
    return power.mul_(((exponent.to(torch.int64) + 1023) << 52).view(DOUBLE))  # by 2 ** exponent


def log(values: Tensor) -> Tensor:
    """Return the natural logarithm of float64 values of at least 2 ** -1022, within 3 such units.

    The mantissa m is between the roots of 1/2 and 2; ln m = 2 artanh((m - 1) / (m + 1)).
    """
    bits = values.view(torch.int64)
    # The exponent of values over the root of 1/2, whose bits these are.
    exponent = (bits - 0x3FE6A09E667F3BCD) >> 52
    mantissa, exponent = (bits - (exponent << 52)).view(DOUBLE), exponent.to(DOUBLE)
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio * ratio
    series = square * (1 / 23) + 1 / 21
    for odd in range(19, 2, -2):
        series.mul_(square).add_(1 / odd)
    small = 2 * ratio + 2 * ratio * square * series
    found = exponent * _LN2[0] + (exponent * _LN2[1] + small)
    return found + (values - values)  # NaN for what is not finite


def sine_and_cosine(turns: Tensor) -> tuple[Tensor, Tensor]:
    """Return sine and cosine of angles in turns, float64, within 2 ** -51; 1/4 turn is 90 degrees.

    Angles are at most 2 ** 40 turns; what is left of a quarter turn is exact.
    """
    quarter = (turns * 4).round()
    angle = (turns - quarter / 4) * (2 * pi)
    square, found = angle * angle, []
    for last in (17, 16):  # degrees of the Taylor series, whose signs alternate by twos
        series = torch.zeros_like(angle)
        for degree in range(last, -1, -2):
            series.mul_(square).add_((1 - degree // 2 % 2 * 2) / factorial(degree))
        found.append(series)
    sine, cosine = found[0] * angle, found[1]
    odd, far = quarter.remainder(2) == 1, quarter.remainder(4) >= 2
    across, along = torch.where(odd, cosine, sine), torch.where(odd, -sine, cosine)
    return torch.where(far, -across, across), torch.where(far, -along, along)


def softmax(logits: Tensor) -> Tensor:
    """Return probabilities, float64, of logits, shape (rows, classes)."""
    _, powers, sums = _powers(logits)
    return powers.div_(sums)


def log_softmax(logits: Tensor) -> Tensor:
    """Return the natural logarithms of what `softmax` returns, of its shape, float64."""
    centred, _, sums = _powers(logits)
    return centred - log(sums)


def _powers(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits less their row's largest, e to the power of these, and the sum of each row.

    Rounded to 2 ** -40, and with 1 for the largest, up to 4,096 powers have an exact sum.
    """
    wide = logits.to(DOUBLE)
    centred = wide - wide.amax(dim=1, keepdim=True)
    powers = exp(centred)
    return centred, powers, _snap(powers, 1.0, 41).sum(dim=1, keepdim=True)
