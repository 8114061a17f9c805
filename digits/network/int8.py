"""Products of int8, wherever the processor takes less time for them: of the same bits."""

from functools import cache
from math import prod

import torch
from torch import Tensor

from digits import exact
from digits.exact import DIGIT, SINGLE, Quantised, sum_bits

LARGE = 3 * 2**16  # numbers of a product's largest matrix, from which int8 takes less time


def product(left: Quantised[Tensor], right: Quantised[Tensor], out: Tensor | None = None) -> Tensor:
    """Return what `exact.product` does."""
    # Where a dimension is 1, torch 2.13's product of int8 may read a transposed matrix wrongly.
    (rows, terms), columns = left.shape, right.shape[1]
    short, *long = sorted((rows, terms, columns))
    pays = short > 1 and prod(long) >= LARGE and _has_int8(left.numbers.device)
    if pays and sum_bits(left.bits + right.bits, terms) <= SINGLE:
        # One has one digit, and the other as many, or is no transpose and has two.
        few, more = (left, right) if left.bits < right.bits else (right, left)
        if few.bits <= DIGIT and more.bits <= (DIGIT if more.turned else 2 * DIGIT):
            return torch.mul(_multiply_digits(left, right), left.unit * right.unit, out=out)
    return exact.product(left, right, out)


def _multiply_digits(left: Quantised[Tensor], right: Quantised[Tensor]) -> Tensor:
    """Return the product of whole numbers, int32, shape (rows, columns)."""
    lines = left.turned.digits[:, 0].T if left.turned else left.digits.flatten(0, 1)
    columns = right.turned.digits[:, 0].T if right.turned else right.digits.flatten(1)
    found = torch._int_mm(lines, columns)  # noqa: SLF001
    # Each row's digits follow one another, be they of the left or of the right.
    parts = found.view(left.shape[0], -1, right.shape[1]).unbind(1)
    return parts[0] if len(parts) == 1 else parts[1].add_(parts[0], alpha=2**DIGIT)


@cache
def _has_int8(device: torch.device) -> bool:
    """Return whether products of int8 are faster than those of float32: processors say so."""
    units = ("avx512_vnni", "avx_vnni", "amx_int8")
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older ones do not say
    return device.type == "cpu" and any(map(known.get, units))
