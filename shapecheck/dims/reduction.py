"""How `size == 0` is brought into its simplest form."""

from __future__ import annotations

from itertools import combinations
from math import gcd
from typing import TypeAlias

from shapecheck.dims.bounds import at_least, positive
from shapecheck.dims.size import (
    Dim,
    FloorDiv,
    Size,
    Symbol,
    as_symbol,
    cancel,
    common_factor,
    has_compound,
    polynomial_quotient,
    single,
    symbol,
    symbols,
)
from shapecheck.dims.substitution import substitute

Equation: TypeAlias = tuple[Size, Size]
_MAX_NAMES = 8  # with more, a condition stays as it is


def without_content(difference: Dim) -> Dim | None:
    """The difference without the factors that can't be 0; None where its integer content rules 0 out."""
    shared = common_factor(difference, allowed=lambda f: at_least(f, 1))
    reduced = cancel(difference, shared)
    if isinstance(reduced, int):
        return None
    content = gcd(*(c for m, c in reduced.terms if m))
    if content == 1:
        return reduced
    if any(not m and c % content for m, c in reduced.terms):
        return None
    divided = polynomial_quotient(reduced, content)
    assert isinstance(divided, Dim), "the content divides, and a monomial is left"
    return divided


def nowhere_zero(size: Size) -> bool:
    if isinstance(size, int):
        return size != 0
    reduced = without_content(size)
    return reduced is None or positive(reduced) or positive(-reduced)


def simplest(size: Dim) -> Dim:
    """The size without a factor that can't be 0, or n % b where the size is n - b*(n//b)."""
    for m, _ in size.terms:
        for f, e in m:
            if isinstance(f, FloorDiv) and e == 1:
                remainder = f.a - f.b * single(f)
                if size == remainder or size == -remainder:
                    left = f.a % f.b
                    return left if isinstance(left, Dim) else size
    return size if has_compound(size) else linear(equal_pair(size))


def equal_pair(size: Dim) -> Dim:
    """`B*B - G*G` is 0 only where `B - G` is."""
    if sum(e for _, e in size.terms[0][0]) == 1 or len(symbols(size)) > _MAX_NAMES:  # a linear size has no such factor
        return size
    for a, b in combinations(sorted(symbols(size)), 2):
        if substitute(size, {a: symbol(b)}) == 0:
            gap = symbol(a) - symbol(b)
            quotient = polynomial_quotient(size, gap)
            if quotient is not None and isinstance(gap, Dim) and (positive(quotient) or positive(-quotient)):
                return gap
    return size


def linear(size: Dim) -> Dim:
    """`(B + 1)*G - 2*(B + 1)` is 0 only where `G - 2` is: drops the factor that can't be 0."""
    if len(size.terms) < 4 or len(symbols(size)) > _MAX_NAMES:  # a product of two sums has at least 4 terms
        return size
    for name in sorted(symbols(size)):
        s = symbol(name)
        parts = [(m, c) for m, c in size.terms if any(f == Symbol(name) for f, _ in m)]
        if any(dict(m)[Symbol(name)] != 1 for m, _ in parts):
            continue
        slope: Size = 0
        for m, c in parts:
            slope = slope + c * cancel(Dim(((m, 1),)), ((Symbol(name), 1),))
        offset = size - slope * s
        if isinstance(slope, int) or isinstance(offset, int):
            continue
        if name in symbols(offset) or name in symbols(slope):
            continue
        quotient = polynomial_quotient(offset, slope)
        if quotient is not None and (positive(slope) or positive(-slope)):
            left = s + quotient
            if isinstance(left, Dim):
                return left
    return size


def equation(size: Dim) -> Equation:
    """size == 0 with every term on the side where it is added; a bare symbol first, a number last."""
    left: Size = 0
    right: Size = 0
    for m, c in size.terms:
        term: Size = Dim(((m, abs(c)),)) if m else abs(c)
        if c > 0:
            left = left + term
        else:
            right = right + term
    bare_right = as_symbol(right) is not None and as_symbol(left) is None
    return (right, left) if isinstance(left, int) or bare_right else (left, right)
