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

Arrays are NumPy's, or tensors of PyTorch, which has these functions under the same names.
"""

# What comes from a library that is only known when this runs is Any.
# mypy: disable-error-code="no-any-return"

import sys
from dataclasses import dataclass
from functools import cached_property
from math import ceil, factorial, log2, pi
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", NDArray[Any], "Tensor")

SINGLE, DOUBLE = 24, 53  # bits of float32 and float64: whole numbers up to 2 ** so many are exact
DIGIT = 6  # bits of a digit of int8, besides its sign: more could saturate in products of AVX2
PLACES = 9  # after the point, of probabilities that are shown
SMALLEST = 2.0**-50  # smaller ones would make products subnormal, which some kernels take for 0
# By the bytes of a number: its bits, and those of its exponent, in the whole numbers of that size.
_FORMS = {4: (SINGLE, "int32", 0xFF << 23), 8: (DOUBLE, "int64", 0x7FF << 52)}
# ln 2 in two parts, the first of so few digits that a product with an exponent is exact.
_LN2 = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")


def namespace(values: object) -> Any:  # noqa: ANN401
    """Return the library that an array is of: NumPy, or PyTorch, which is not imported for it."""
    return sys.modules[type(values).__module__.partition(".")[0]]


@dataclass(frozen=True)
class Quantised(Generic[Array]):
    """A matrix of whole multiples of a unit."""

    numbers: Array  # shape (rows, columns): these, float32, or how many units, int8 or int16
    power: Array  # unit times 2 ** (bits - 1): of all, shape (), or of each row or column
    bits: int  # no value is more than 2 ** bits units
    turned: "Quantised[Array] | None" = None  # what this is the transpose of, if of anything

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns there are."""
        rows, columns = self.numbers.shape
        return rows, columns

    @property
    def T(self) -> "Quantised[Array]":  # noqa: N802  (as arrays have it)
        """The transpose."""
        power = self.power.mT if self.power.ndim else self.power
        return Quantised(self.numbers.mT, power, self.bits, self)

    @property
    def unit(self) -> Array:
        """What all values are multiples of; infinite where they are not finite any more."""
        return unit(self.power, self.bits)

    @cached_property
    def values(self) -> Array:
        """The multiples, float32, shape (rows, columns)."""
        if not self._is_whole:
            return self.numbers
        if self.turned:
            return self.turned.values.mT
        xp = namespace(self.numbers)
        return xp.asarray(self.numbers, dtype=xp.float32) * self.unit

    @property
    def _is_whole(self) -> bool:
        return self.numbers.dtype.itemsize < 4  # bytes of float32

    @cached_property
    def digits(self) -> Array:
        """The digits of the whole numbers, the higher ones first, int8, (rows, digits, columns)."""
        xp = namespace(self.numbers)
        whole = self.numbers if self._is_whole else self.values / self.unit
        if self.bits <= DIGIT:
            return xp.asarray(whole, dtype=xp.int8)[:, None]
        whole = xp.asarray(whole, dtype=xp.int16)
        high = (whole + 2 ** (DIGIT - 1)) >> DIGIT
        return xp.asarray(xp.stack([high, whole - (high << DIGIT)], 1), dtype=xp.int8)

    @classmethod
    def within(cls, values: Array, power: Array, bits: int) -> "Quantised[Array]":
        """Return float32 values as multiples, at most 2 ** bits, of what `power_within` found."""
        return Quantised(_snap(values, power, bits), power, bits)

    def coarser(self, bits: int) -> "Quantised[Array]":
        """Return the values as multiples of a larger unit, so that they have no more bits."""
        if bits >= self.bits:
            return self
        return Quantised.within(self.values, self.power, bits)


def unit(power: Array, bits: int) -> Array:
    """Return the unit of values of so many bits, of which `power_within` has returned a power."""
    return power * 2.0 ** (SINGLE - bits) * 2.0 ** (1 - SINGLE)


def quantise(values: Array, bits: int, axis: int | None = None) -> Quantised[Array]:
    """Return float32 values as multiples, at most 2 ** bits, of the least unit that allows it.

    Bits are at most 22. All have one unit, or each line along `axis` its own; errors are half of
    it. Beyond 2 ** 100 values become infinity or NaN.
    """
    return Quantised.within(values, power_within(values, axis), bits)


def rounded(values: Array, bits: int) -> Array:
    """Return float32 or float64 values, of any shape, rounded as `quantise` does it."""
    return _snap(values, power_within(values), bits)


def power_within(values: Array, axis: int | None = None) -> Array:
    """Return the largest magnitude without its mantissa: a power of two, at least a tiny one."""
    xp, (_, integer, exponent) = namespace(values), _FORMS[values.dtype.itemsize]
    lines = {} if axis is None else {"axis": axis, "keepdims": True}
    if not values.shape[axis or 0]:
        return xp.full_like(values.sum(), SMALLEST)
    most = xp.maximum(xp.amax(values, **lines), -xp.amin(values, **lines))
    power = (most.view(getattr(xp, integer)) & exponent).view(values.dtype)
    return xp.clip(power, SMALLEST, None)


def _snap(values: Array, power: Array | float, bits: int) -> Array:
    """Return values rounded to multiples of 2 ** (1 - bits) times a power of two."""
    # A sum with a number whose last place is that unit is rounded so.
    shift = power * (1.5 * 2.0 ** (_FORMS[values.dtype.itemsize][0] - bits))
    found = values + shift
    found -= shift
    return found


def sum_bits(bits: int, terms: int) -> int:
    """Return how many bits a sum of terms of so many bits has, at most.

    Float64 holds 53; more are an OverflowError.
    """
    found = bits + ceil(log2(terms))
    if found > DOUBLE:
        raise OverflowError(f"{terms} terms of {bits} bits")
    return found


def product(left: Quantised[Array], right: Quantised[Array], out: Array | None = None) -> Array:
    """Return the product of two matrices in float32, exact up to 24 bits, else rounded once.

    The left may have a unit for each row, the right one for each column. Only the sign of a zero
    shows what has multiplied them.
    """
    xp = namespace(left.numbers)
    if sum_bits(left.bits + right.bits, left.shape[1]) <= SINGLE:
        return xp.matmul(left.values, right.values, out=out)
    wide = [xp.asarray(one.values, dtype=xp.float64) for one in (left, right)]
    found = xp.asarray(wide[0] @ wide[1], dtype=xp.float32)
    if out is None:
        return found
    out[:] = found
    return out


def total(values: Array, axis: int = 0, terms: int = 0, power: Array | None = None) -> Array:
    """Return the sum of float32 or float64 values along an axis, in float64.

    Each is rounded to a 2 ** (log2(terms) - 53) of the largest magnitude in its line. Values may be
    a part of so many terms, of which `power_within` returns that power.
    """
    wide, bits = widened(values), DOUBLE - 1 - ceil(log2(terms or max(values.shape[axis], 1)))
    return _snap(wide, power_within(wide, axis) if power is None else power, bits).sum(axis)


def widened(values: Array) -> Array:
    """Return values as float64."""
    xp = namespace(values)
    return xp.asarray(values, dtype=xp.float64)


def over(values: Array, divisor: float) -> Array:
    """Return the quotient; a GPU divides by a number, but not by a tensor, with two roundings."""
    xp = namespace(values)
    return values / xp.full((), divisor, dtype=values.dtype, device=values.device)


def root(values: Array) -> Array:
    """Return square roots of float32 values, correctly rounded: float64's have digits enough."""
    xp = namespace(values)
    return xp.asarray(xp.sqrt(widened(values)), dtype=xp.float32)


def exp(values: Array) -> Array:
    """Return e ** x of float64 values, within 2 units of the last place; beyond +-700, as there."""
    xp = namespace(values)
    values = xp.clip(values, -700, 700)
    exponent = xp.round(values * _LOG2_E)
    rest = values - exponent * _LN2[0]
    rest -= exponent * _LN2[1]
    power = rest * (1 / factorial(13)) + 1 / factorial(12)
    for degree in range(11, -1, -1):
        power *= rest
        power += 1 / factorial(degree)
    power *= ((xp.asarray(exponent, dtype=xp.int64) + 1023) << 52).view(xp.float64)  # 2 ** exponent
    return power


def log(values: Array) -> Array:
    """Return the natural logarithm of float64 values of at least 2 ** -1022, within 3 such units.

    The mantissa m is between the roots of 1/2 and 2; ln m = 2 artanh((m - 1) / (m + 1)).
    """
    xp = namespace(values)
    bits = values.view(xp.int64)
    # The exponent of values over the root of 1/2, whose bits these are.
    exponent = (bits - 0x3FE6A09E667F3BCD) >> 52
    mantissa, exponent = (bits - (exponent << 52)).view(xp.float64), widened(exponent)
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio * ratio
    series = square * (1 / 23) + 1 / 21
    for odd in range(19, 2, -2):
        series *= square
        series += 1 / odd
    small = 2 * ratio + 2 * ratio * square * series
    found = exponent * _LN2[0] + (exponent * _LN2[1] + small)
    return found + (values - values)  # NaN for what is not finite


def sine_and_cosine(turns: Array) -> tuple[Array, Array]:
    """Return sine and cosine of angles in turns, float64, within 2 ** -51; 1/4 turn is 90 degrees.

    Angles are at most 2 ** 40 turns; what is left of a quarter turn is exact.
    """
    xp = namespace(turns)
    quarter = xp.round(turns * 4)
    angle = (turns - quarter / 4) * (2 * pi)
    square, found = angle * angle, []
    for last in (17, 16):  # degrees of the Taylor series, whose signs alternate by twos
        series = xp.zeros_like(angle)
        for degree in range(last, -1, -2):
            series *= square
            series += (1 - degree // 2 % 2 * 2) / factorial(degree)
        found.append(series)
    sine, cosine = found[0] * angle, found[1]
    odd, far = quarter % 2 == 1, quarter % 4 >= 2
    across, along = xp.where(odd, cosine, sine), xp.where(odd, -sine, cosine)
    return xp.where(far, -across, across), xp.where(far, -along, along)


def softmax(logits: Array) -> Array:
    """Return probabilities, float64, of logits, shape (rows, classes)."""
    _, powers, sums = _powers(logits)
    powers /= sums
    return powers


def log_softmax(logits: Array) -> Array:
    """Return the natural logarithms of what `softmax` returns, of its shape, float64."""
    centred, _, sums = _powers(logits)
    return centred - log(sums)


def _powers(logits: Array) -> tuple[Array, Array, Array]:
    """Return logits less their row's largest, e to the power of these, and the sum of each row.

    Rounded to 2 ** -40, and with 1 for the largest, up to 4,096 powers have an exact sum.
    """
    wide = widened(logits)
    centred = wide - namespace(wide).amax(wide, axis=1, keepdims=True)
    powers = exp(centred)
    return centred, powers, _snap(powers, 1.0, 41).sum(axis=1, keepdims=True)
