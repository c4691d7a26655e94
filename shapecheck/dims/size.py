"""The three nouns of a size: a factor (`B`, `n//2`), a monomial (`B*G**2`), and their integer-weighted sum, the `Dim`.

All symbols are integers of at least 1. Everything is kept in normal form, so equality, hashing and printing are
structural. Division follows `n == whole*b + rest`: what divides is taken out, what does not stays a `FloorDiv` factor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

MAX_TERMS = 64
MAX_DEGREE = 16
MAX_DEPTH = 8  # of compound factors within compound factors
MAX_COEFFICIENT = 2**128
CACHE = 1 << 13


class TooComplex(ArithmeticError):
    """A size outgrew MAX_TERMS, MAX_DEGREE, MAX_DEPTH or MAX_COEFFICIENT."""


# ------------------------------------------------------------------- factors


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name that stands for an integer of at least 1."""

    name: str

    @property
    def key(self) -> tuple[Any, ...]:
        return (0, _counted(self.name), ())

    @property
    def depth(self) -> int:
        return 0


@lru_cache(CACHE)
def _counted(name: str) -> str:
    """The name with a number at its end written so that texts sort as the numbers do: `?9` before `?10`."""
    bare = name.rstrip("0123456789")
    return bare + name[len(bare) :].zfill(9) if len(bare) < len(name) else name


@dataclass(frozen=True, slots=True)
class _Compound:
    """A function of two sizes that is no polynomial. `key` orders factors, the same in every process."""

    a: Size
    b: Size
    key: tuple[Any, ...] = field(init=False, compare=False, repr=False)
    depth: int = field(init=False, compare=False, repr=False)
    hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        depth = 1 + max(_depth(self.a), _depth(self.b))
        if depth > MAX_DEPTH:
            raise TooComplex(f"more than {MAX_DEPTH} divisions, minima or maxima within each other")
        set_ = object.__setattr__
        set_(self, "key", (_KINDS[type(self)], "", (key_of(self.a), key_of(self.b))))
        set_(self, "depth", depth)
        set_(self, "hash", hash((type(self).__name__, self.a, self.b)))

    def __hash__(self) -> int:
        return self.hash

    def __reduce__(self) -> tuple[Any, ...]:  # hashes of strings differ between processes
        return (type(self), (self.a, self.b))


class FloorDiv(_Compound):
    """`a // b`, rounding down as Python does."""

    __slots__ = ()


class Mod(_Compound):
    """`a % b`, with the sign of b as in Python."""

    __slots__ = ()


class Min(_Compound):
    """The smaller one of a and b."""

    __slots__ = ()


class Max(_Compound):
    """The greater one of a and b."""

    __slots__ = ()


Factor: TypeAlias = Symbol | FloorDiv | Mod | Min | Max
Monomial: TypeAlias = tuple[tuple[Factor, int], ...]  # factors in order of their keys, each with its power
Term: TypeAlias = tuple[Monomial, int]
_KINDS: dict[type, int] = {FloorDiv: 1, Mod: 2, Min: 3, Max: 4}
ONE: Monomial = ()


# ----------------------------------------------------------------------- Dim


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dim:
    """A sum of monomials with integer coefficients, greatest monomial first (by degree, then by name).

    Made by `symbol` and arithmetic, never by hand. `//` and `%` raise ZeroDivisionError for the int 0 only.
    """

    terms: tuple[Term, ...]
    hash: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", hash(self.terms))

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Dim) and self.hash == other.hash and self.terms == other.terms

    def __reduce__(self) -> tuple[Any, ...]:
        return (Dim, (self.terms,))

    def __add__(self, other: Size) -> Size:
        return add(self, other)

    def __radd__(self, other: int) -> Size:
        return add(self, other)

    def __sub__(self, other: Size) -> Size:
        return add(self, scale(other, -1))

    def __rsub__(self, other: int) -> Size:
        return add(scale(self, -1), other)

    def __neg__(self) -> Size:
        return scale(self, -1)

    def __mul__(self, other: Size) -> Size:
        return mul(self, other)

    def __rmul__(self, other: int) -> Size:
        return mul(self, other)

    def __pow__(self, exponent: int) -> Size:
        if not isinstance(exponent, int) or exponent < 0:
            return NotImplemented
        if exponent > MAX_DEGREE:
            raise TooComplex(f"a degree of more than {MAX_DEGREE}")
        power: Size = 1
        for _ in range(exponent):
            power = mul(self, power)
        return power

    def __floordiv__(self, other: Size) -> Size:
        return _floordiv(self, other)

    def __rfloordiv__(self, other: int) -> Size:
        return _floordiv(other, self)

    def __mod__(self, other: Size) -> Size:
        return _mod(self, other)

    def __rmod__(self, other: int) -> Size:
        return _mod(other, self)

    def __repr__(self) -> str:
        from shapecheck.dims.text import show  # text reads this module

        return show(self)


Size: TypeAlias = int | Dim


def _floordiv(n: Size, b: Size) -> Size:
    from shapecheck.dims.division import floordiv  # division builds upon this module

    return floordiv(n, b)


def _mod(n: Size, b: Size) -> Size:
    from shapecheck.dims.division import mod

    return mod(n, b)


def key_of(size: Size) -> tuple[Any, ...]:
    """Orders sizes, the same in every process; numbers come last."""
    if isinstance(size, int):
        return (1, size, ())
    return (0, 0, tuple((tuple((f.key, e) for f, e in m), c) for m, c in size.terms))


def _depth(size: Size) -> int:
    return 0 if isinstance(size, int) else max((f.depth for m, _ in size.terms for f, _ in m), default=0)


def terms_of(size: Size) -> tuple[Term, ...]:
    """The terms, greatest first; a number other than 0 is one term. TypeError for what is no size."""
    if isinstance(size, Dim):
        return size.terms
    if not isinstance(size, int):  # a float would spread through all that follows
        raise TypeError(f"{size!r} is no size")
    return ((ONE, size),) if size else ()


@lru_cache(CACHE)
def _order(monomial: Monomial) -> tuple[Any, ...]:
    """Sorts the greatest first: by degree, then lexicographically, which is what long division needs."""
    return (-sum(e for _, e in monomial), tuple((f.key, -e) for f, e in monomial))


def build(terms: Mapping[Monomial, int]) -> Size:
    """The normal form of a sum; TooComplex beyond the bounds."""
    kept = {m: c for m, c in terms.items() if c}
    if not kept:
        return 0
    if len(kept) == 1 and ONE in kept:
        return kept[ONE]
    if len(kept) > MAX_TERMS:
        raise TooComplex(f"more than {MAX_TERMS} terms")
    if any(abs(c) > MAX_COEFFICIENT for c in kept.values()):
        raise TooComplex("a coefficient beyond 128 bits")
    ordered = tuple(kept.items()) if len(kept) == 1 else tuple(sorted(kept.items(), key=lambda t: _order(t[0])))
    if sum(e for _, e in ordered[0][0]) > MAX_DEGREE:
        raise TooComplex(f"a degree of more than {MAX_DEGREE}")
    return Dim(ordered)


def single(factor: Factor) -> Dim:
    """The size that is this one factor."""
    return Dim(((((factor, 1),), 1),))


@lru_cache(CACHE)
def symbol(name: str) -> Dim:
    """The size called `name`, at least 1."""
    return single(Symbol(name))


def as_symbol(size: Size) -> str | None:
    """The name, when the size is a bare symbol."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        match size.terms[0]:
            case (((Symbol(name), 1),), 1):
                return name
    return None


def as_quotient(size: Size) -> tuple[Size, Size] | None:
    """(numerator, denominator) of a size that is one floor division and nothing else, else None."""
    factor = _only_factor(size)
    return (factor.a, factor.b) if isinstance(factor, FloorDiv) else None


def divisors(size: Size) -> frozenset[int]:
    """The numbers by which a part of the size is divided, with or without what is left over."""
    if isinstance(size, int):
        return frozenset()
    found = (f.b for m, _ in size.terms for f, _ in m if isinstance(f, (FloorDiv, Mod)))
    return frozenset(b for b in found if isinstance(b, int) and b > 0)


def _only_factor(size: Size) -> Factor | None:
    if isinstance(size, Dim) and len(size.terms) == 1:
        monomial, coefficient = size.terms[0]
        if coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1:
            return monomial[0][0]
    return None


@lru_cache(CACHE)
def symbols(size: Size) -> frozenset[str]:
    """Every name that the size depends on, those inside divisions and the like included."""
    found: set[str] = set()
    for monomial, _ in terms_of(size):
        for factor, _ in monomial:
            if isinstance(factor, Symbol):
                found.add(factor.name)
            else:
                found |= symbols(factor.a) | symbols(factor.b)
    return frozenset(found)


def has_compound(size: Dim) -> bool:
    """Is there more than a polynomial of symbols?"""
    return any(not isinstance(f, Symbol) for m, _ in size.terms for f, _ in m)


# --------------------------------------------------------------- ring algebra


@lru_cache(CACHE)
def add(a: Size, b: Size) -> Size:
    if not b:
        return a
    if not a:
        return b
    total = dict(terms_of(a))
    for monomial, c in terms_of(b):
        total[monomial] = total.get(monomial, 0) + c
    return build(total)


@lru_cache(CACHE)
def scale(size: Size, by: int) -> Size:
    if isinstance(size, int):
        return size * by
    return build({m: c * by for m, c in size.terms})


@lru_cache(CACHE)
def mul(a: Size, b: Size) -> Size:
    if isinstance(b, int):
        return a if b == 1 else scale(a, b)
    if isinstance(a, int):
        return b if a == 1 else scale(b, a)
    product: dict[Monomial, int] = {}
    for m, c in terms_of(a):
        for n, d in terms_of(b):
            mn = times(m, n)
            product[mn] = product.get(mn, 0) + c * d
    return build(product)


@lru_cache(CACHE)
def times(m: Monomial, n: Monomial) -> Monomial:
    if not m or not n:
        return m or n
    powers = dict(m)
    for f, e in n:
        powers[f] = powers.get(f, 0) + e
    return tuple(sorted(powers.items(), key=lambda p: p[0].key))


def quotient(m: Monomial, n: Monomial) -> Monomial | None:
    """m / n, or None where n has a factor that m lacks."""
    if not n:
        return m
    powers = dict(m)
    for f, e in n:
        left = powers.get(f, 0) - e
        if left < 0:
            return None
        if left:
            powers[f] = left
        else:
            del powers[f]
    return tuple(p for p in ((f, powers.get(f, 0)) for f, _ in m) if p[1])


def long_division(n: Size, b: Size) -> tuple[Size, Size]:
    """(q, r) with n == q*b + r and no term of r divisible by the leading term of b."""
    (lead, lead_c), *others = terms_of(b)
    todo = dict(terms_of(n))
    q: dict[Monomial, int] = {}
    r: dict[Monomial, int] = {}
    while todo:
        monomial = min(todo, key=_order)
        c = todo.pop(monomial)
        t = quotient(monomial, lead)
        if t is None or c % lead_c:
            r[monomial] = c
            continue
        k = q[t] = c // lead_c
        for other, d in others:
            m = times(other, t)
            todo[m] = todo.get(m, 0) - k * d
            if not todo[m]:
                del todo[m]
        if len(q) > MAX_TERMS or len(todo) > 4 * MAX_TERMS:
            raise TooComplex(f"a quotient of more than {MAX_TERMS} terms")
    return build(q), build(r)


@lru_cache(CACHE)
def polynomial_quotient(a: Size, b: Size) -> Size | None:
    """q with q*b == a as polynomials of factors, or None (also for b == 0)."""
    if not b:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return None if a % b else a // b
    q, r = long_division(a, b)
    return q if r == 0 else None


def replaced(size: Size, factor: Factor, value: Size) -> Size:
    """The size with a value in the place of one of its factors; what stands inside other factors stays."""
    total: Size = 0
    for monomial, c in terms_of(size):
        term: Size = c
        for f, e in monomial:
            for _ in range(e):
                term = mul(term, value if f == factor else single(f))
        total = add(total, term)
    return total


def common_factor(*sizes: Size, allowed: Callable[[Factor], bool]) -> Monomial:
    """The greatest monomial of allowed factors that divides every term of every size."""
    shared: dict[Factor, int] | None = None
    for size in sizes:
        for monomial, _ in terms_of(size):
            if shared is None:
                shared = {f: e for f, e in monomial if allowed(f)}
            elif shared:
                powers = dict(monomial)
                shared = {f: min(e, powers[f]) for f, e in shared.items() if f in powers}
    return tuple((shared or {}).items())


def cancel(size: Size, monomial: Monomial) -> Size:
    """The size divided by a monomial that divides each of its terms."""
    if not monomial:
        return size
    return build({must(quotient(m, monomial)): c for m, c in terms_of(size)})


def must(monomial: Monomial | None) -> Monomial:
    assert monomial is not None, "a common factor divides every term"
    return monomial
