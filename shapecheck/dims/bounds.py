"""What can be proven of a size from every symbol being at least 1, and the smaller and the greater of two sizes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from shapecheck.dims.size import (
    CACHE,
    MAX_TERMS,
    ONE,
    Dim,
    Factor,
    FloorDiv,
    Max,
    Min,
    Mod,
    Monomial,
    Size,
    Symbol,
    TooComplex,
    add,
    build,
    has_compound,
    key_of,
    mul,
    must,
    quotient,
    scale,
    single,
    times,
)

_PROOF_STEPS = 4  # compounds replaced by a bound, one after the other, in one proof


@lru_cache(CACHE)
def lower(factor: Factor) -> int | None:
    """A number that the factor is never below; None when none is known."""
    match factor:
        case Symbol():
            return 1
        case FloorDiv(a, b) if positive(b):
            least = _lower_size(a)
            if least is None:
                return None
            return least // b if isinstance(b, int) else min(least, 0)
        case Mod(_, b) if positive(b):
            return 0
        case Min(a, b):
            first, second = _lower_size(a), _lower_size(b)
            return None if first is None or second is None else min(first, second)
        case Max(a, b):
            return max((n for n in (_lower_size(a), _lower_size(b)) if n is not None), default=None)
    return None


def at_least(factor: Factor, number: int) -> bool:
    least = lower(factor)
    return least is not None and least >= number


def _lower_size(size: Size) -> int | None:
    if isinstance(size, int):
        return size
    shifted = _shift(size)
    if shifted is None or any(c < 0 for m, c in shifted.items() if m):
        return 0 if nonnegative(size) else None
    return shifted.get(ONE, 0)


@lru_cache(CACHE)
def _shift(size: Dim) -> dict[Monomial, int] | None:
    """The size with every factor f written as its lower bound plus a new f >= 0; None where one has no bound."""
    total: dict[Monomial, int] = {}
    for monomial, c in size.terms:
        parts: dict[Monomial, int] = {ONE: c}
        for f, e in monomial:
            least = lower(f)
            if least is None:
                return None
            for _ in range(e):
                grown: dict[Monomial, int] = {}
                for m, d in parts.items():
                    if least:
                        grown[m] = grown.get(m, 0) + d * least
                    up = times(m, ((f, 1),))
                    grown[up] = grown.get(up, 0) + d
                parts = grown
            if len(parts) > 4 * MAX_TERMS:
                return None
        for m, d in parts.items():
            total[m] = total.get(m, 0) + d
    return total


def positive(size: Size) -> bool:
    """Is the size provably at least 1, whatever the symbols are?"""
    return size >= 1 if isinstance(size, int) else _at_least(size, 1)


def nonnegative(size: Size) -> bool:
    """Is the size provably at least 0, whatever the symbols are?"""
    return size >= 0 if isinstance(size, int) else _at_least(size, 0)


@lru_cache(CACHE)
def _at_least(size: Dim, number: int) -> bool:
    if not has_compound(size):
        at_ones = sum(c for _, c in size.terms)  # the value where all symbols are 1
        return at_ones >= number and _seen_at_least(size, number)
    if _seen_at_least(size, number):
        return True
    try:  # a size is an integer, so n >= 0 is n + 1 > 0
        return _above_0(add(size, 1 - number), (), _PROOF_STEPS)
    except TooComplex:  # no proof found
        return False


def _seen_at_least(size: Dim, number: int) -> bool:
    shifted = _shift(size)
    return shifted is not None and shifted.get(ONE, 0) >= number and all(c >= 0 for m, c in shifted.items() if m)


@lru_cache(CACHE)
def _above_0(size: Size, done: tuple[Any, ...], steps: int) -> bool:
    """Is size > 0, when the compounds up to rank `done` have been replaced by their bounds, or kept?"""
    if isinstance(size, int):
        return size > 0
    if _seen_at_least(size, 1):
        return True
    if steps == 0:
        return False
    compounds = {f for m, _ in size.terms for f, _ in m if not isinstance(f, Symbol)}
    ranked = sorted(((-f.depth, f.key), f) for f in compounds)  # the outer ones first: a bound may bring inner ones in
    return any(
        all(_above_0(case, rank, steps - 1) for case in cases)
        for rank, f in ranked
        if rank > done
        for cases in _weaker(size, f)
    )


def _weaker(size: Dim, f: Factor) -> Iterable[tuple[Size, ...]]:
    """Ways to show size > 0 without the compound f: each is a tuple of sizes that must all be > 0."""
    rest: dict[Monomial, int] = {}
    slope: dict[Monomial, int] = {}  # size == rest + slope * f
    for monomial, c in size.terms:
        powers = dict(monomial)
        if powers.get(f, 0) > 1:
            return
        if f not in powers:
            rest[monomial] = c
        elif all(at_least(g, 0) for g, _ in monomial if g != f):
            slope[must(quotient(monomial, ((f, 1),)))] = c
        else:
            return
    signs = {c > 0 for c in slope.values()}
    rest_, slope_ = build(rest), build(slope)

    def put(bound: Size, scale: Size = 1) -> Size:
        """scale * size with `bound` in the place of scale * f."""
        return add(mul(rest_, scale), mul(slope_, bound))

    rising = signs == {True}
    match f:
        case Min(a, b):
            yield from ([(put(a), put(b))] if signs != {False} else [(put(a),), (put(b),)])
        case Max(a, b):
            yield from ([(put(a), put(b))] if not rising else [(put(a),), (put(b),)])
        case Mod(a, b) if signs == {False} and positive(b):
            yield (put(add(b, -1)),)
            if nonnegative(a):
                yield (put(a),)
        case FloorDiv(a, b) if len(signs) == 1 and positive(b):
            # b*f lies between a - b + 1 and a
            yield (put(add(add(a, scale(b, -1)), 1) if rising else a, b),)


# ---------------------------------------------------------- minimum, maximum


@lru_cache(CACHE)
def minimum(a: Size, b: Size) -> Size:
    """The smaller size: a or b itself where the bounds prove it."""
    return _extreme(a, b, Min)


@lru_cache(CACHE)
def maximum(a: Size, b: Size) -> Size:
    """The greater size: a or b itself where the bounds prove it."""
    return _extreme(a, b, Max)


def _extreme(a: Size, b: Size, kind: type[Min] | type[Max]) -> Size:
    gap = add(b, scale(a, -1))
    if nonnegative(gap):
        return a if kind is Min else b
    if nonnegative(scale(gap, -1)):
        return b if kind is Min else a
    first, second = sorted((a, b), key=key_of)
    return single(kind(first, second))
