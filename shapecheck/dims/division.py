"""Floor division and remainder, from n == whole*b + rest: what divides is taken out, the rest stays a factor."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

from shapecheck.dims.bounds import at_least, nonnegative, positive
from shapecheck.dims.size import (
    CACHE,
    ONE,
    FloorDiv,
    Mod,
    Monomial,
    Size,
    add,
    build,
    cancel,
    common_factor,
    long_division,
    mul,
    polynomial_quotient,
    quotient,
    replaced,
    scale,
    single,
    terms_of,
)


@lru_cache(CACHE)
def exact_div(a: Size, b: Size) -> Size | None:
    """q with q*b == a for all sizes, or None when no such q is seen (also for b == 0)."""
    q = polynomial_quotient(a, b)
    return q if q is not None else polynomial_quotient(_without_mod(a), b)


def _without_mod(size: Size) -> Size:
    """The size with x - y*(x//y) for each x % y, which `n - n % b` needs to be seen as a multiple of b."""
    for monomial, _ in terms_of(size):
        for f, _ in monomial:
            if isinstance(f, Mod):
                size = replaced(size, f, add(f.a, scale(mul(f.b, floordiv(f.a, f.b)), -1)))
    return size


def _split(n: Size, b: Size) -> tuple[Size, Size]:
    """(whole, rest) with n == whole*b + rest: all that can be taken out of n // b in normal form. b >= 1."""
    whole, rest = _divide(n, b)
    if _within(rest, b):
        return whole, rest
    bare = _without_mod(rest)
    if bare != rest:
        more, left = _divide(bare, b)
        if _within(left, b):
            return add(whole, more), left
    return whole, rest


def _divide(n: Size, b: Size) -> tuple[Size, Size]:
    if len(terms_of(b)) > 1:
        q, r = long_division(n, b)
        if _within(r, b):
            return q, r
        above = add(r, b)
        return (add(q, -1), above) if _within(above, b) else (0, n)  # leading terms may divide once too often
    ((divisor, d),) = terms_of(b)
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, c in terms_of(n):
        t = quotient(monomial, divisor)
        if t is None:
            rest[monomial] = c
        else:
            whole[t], rest[monomial] = divmod(c, d)
    return build(whole), build(rest)


def _within(r: Size, b: Size) -> bool:
    """Is 0 <= r < b for all sizes?"""
    return nonnegative(r) and positive(add(b, scale(r, -1)))


def _shrink(n: Size, b: Size) -> tuple[Size, Size, Monomial, int]:
    """(n', b', monomial, g) such that n == monomial*(g*n' + n % g) and b == monomial*g*b'.

    g is taken from all but the constant of n; it is 1 where a monomial was cancelled.
    """
    monomial = common_factor(n, b, allowed=lambda f: at_least(f, 1))
    if monomial:
        return cancel(n, monomial), cancel(b, monomial), monomial, 1
    g = gcd(*(c for _, c in terms_of(b)), *(c for m, c in terms_of(n) if m))
    if g > 1:
        n = build({m: c // g for m, c in terms_of(n)})
        b = build({m: c // g for m, c in terms_of(b)})
    return n, b, ONE, g


@lru_cache(CACHE)
def floordiv(n: Size, b: Size) -> Size:
    """n // b; a factor of its own where b may be 0 or nothing more can be taken out. ZeroDivisionError for b == 0."""
    if isinstance(b, int):
        if isinstance(n, int):
            return n // b
        if b == 0:
            raise ZeroDivisionError("a size divided by 0")
        if b == 1:
            return n
    if not positive(b):
        return floordiv(scale(n, -1), scale(b, -1)) if positive(scale(b, -1)) else single(FloorDiv(n, b))
    whole, rest = _split(n, b)
    return add(whole, _floordiv_rest(rest, b))


def _floordiv_rest(rest: Size, b: Size) -> Size:
    if _within(rest, b):
        return 0
    small, divisor, monomial, g = _shrink(rest, b)
    if monomial or g > 1:
        return floordiv(small, divisor)
    if terms_of(rest)[0][1] < 0:  # one form for every way to write a division that rounds up
        return add(scale(floordiv(add(scale(rest, -1), -1), b), -1), -1)
    match terms_of(rest):
        case ((((FloorDiv(n, inner), 1),), 1), *constant) if positive(inner) and not any(m for m, _ in constant):
            for _, c in constant:
                n = add(n, scale(inner, c))
            return floordiv(n, mul(inner, b))
    return single(FloorDiv(rest, b))


@lru_cache(CACHE)
def mod(n: Size, b: Size) -> Size:
    """n % b, likewise."""
    if isinstance(b, int):
        if isinstance(n, int):
            return n % b
        if b == 0:
            raise ZeroDivisionError("a size modulo 0")
    if not positive(b):
        if positive(scale(b, -1)):
            return scale(mod(scale(n, -1), scale(b, -1)), -1)
        return single(Mod(n, b))
    _, rest = _split(n, b)
    if _within(rest, b):
        return rest
    small, divisor, monomial, g = _shrink(rest, b)
    if monomial:
        return mul(mod(small, divisor), build({monomial: 1}))
    if g > 1:
        constant = next((c for m, c in terms_of(rest) if not m), 0)
        return add(scale(mod(small, divisor), g), constant % g)
    return single(Mod(rest, b))
