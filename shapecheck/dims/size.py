"""The three nouns of a size: a factor (`B`, `n//2`), a monomial (`B*G**2`), and their integer-weighted sum, the `Dim`.

All symbols are integers of at least 1. Everything is kept in normal form, so equality, hashing and printing are
structural. Division follows `n == whole*b + rest`: what divides is taken out, what does not stays a `FloorDiv` factor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import gcd
from typing import Any, TypeAlias

MAX_TERMS = 64
MAX_DEGREE = 16
MAX_DEPTH = 8  # of compound factors within compound factors
MAX_COEFFICIENT = 2**128
_CACHE = 1 << 16
_PROOF_STEPS = 4  # compounds replaced by a bound, one after the other, in one proof


class TooComplex(ArithmeticError):
    """A size outgrew MAX_TERMS, MAX_DEGREE, MAX_DEPTH or MAX_COEFFICIENT."""


# ------------------------------------------------------------------- factors


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name that stands for an integer of at least 1."""

    name: str

    @property
    def key(self) -> tuple[Any, ...]:
        return (0, self.name, ())

    @property
    def depth(self) -> int:
        return 0


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
        set_(self, "key", (_KINDS[type(self)], "", (_key(self.a), _key(self.b))))
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
_ONE: Monomial = ()


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
        return _add(self, other)

    def __radd__(self, other: int) -> Size:
        return _add(self, other)

    def __sub__(self, other: Size) -> Size:
        return _add(self, _scale(other, -1))

    def __rsub__(self, other: int) -> Size:
        return _add(_scale(self, -1), other)

    def __neg__(self) -> Size:
        return _scale(self, -1)

    def __mul__(self, other: Size) -> Size:
        return _mul(self, other)

    def __rmul__(self, other: int) -> Size:
        return _mul(self, other)

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


def _key(size: Size) -> tuple[Any, ...]:
    if isinstance(size, int):
        return (1, size, ())
    return (0, 0, tuple((tuple((f.key, e) for f, e in m), c) for m, c in size.terms))


def _depth(size: Size) -> int:
    return 0 if isinstance(size, int) else max((f.depth for m, _ in size.terms for f, _ in m), default=0)


def _terms(size: Size) -> tuple[Term, ...]:
    if isinstance(size, Dim):
        return size.terms
    return ((_ONE, size),) if size else ()


@lru_cache(_CACHE)
def _order(monomial: Monomial) -> tuple[Any, ...]:
    """Sorts the greatest first: by degree, then lexicographically, which is what long division needs."""
    return (-sum(e for _, e in monomial), tuple((f.key, -e) for f, e in monomial))


def _build(terms: Mapping[Monomial, int]) -> Size:
    kept = {m: c for m, c in terms.items() if c}
    if not kept:
        return 0
    if len(kept) == 1 and _ONE in kept:
        return kept[_ONE]
    if len(kept) > MAX_TERMS:
        raise TooComplex(f"more than {MAX_TERMS} terms")
    if any(abs(c) > MAX_COEFFICIENT for c in kept.values()):
        raise TooComplex("a coefficient beyond 128 bits")
    ordered = tuple(kept.items()) if len(kept) == 1 else tuple(sorted(kept.items(), key=lambda t: _order(t[0])))
    if sum(e for _, e in ordered[0][0]) > MAX_DEGREE:
        raise TooComplex(f"a degree of more than {MAX_DEGREE}")
    return Dim(ordered)


def _of(factor: Factor) -> Dim:
    return Dim(((((factor, 1),), 1),))


@lru_cache(_CACHE)
def symbol(name: str) -> Dim:
    """The size called `name`, at least 1."""
    return _of(Symbol(name))


def as_symbol(size: Size) -> str | None:
    """The name, when the size is a bare symbol."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        match size.terms[0]:
            case (((Symbol(name), 1),), 1):
                return name
    return None


@lru_cache(_CACHE)
def symbols(size: Size) -> frozenset[str]:
    """Every name that the size depends on, those inside divisions and the like included."""
    found: set[str] = set()
    for monomial, _ in _terms(size):
        for factor, _ in monomial:
            if isinstance(factor, Symbol):
                found.add(factor.name)
            else:
                found |= symbols(factor.a) | symbols(factor.b)
    return frozenset(found)


# --------------------------------------------------------------- ring algebra


@lru_cache(_CACHE)
def _add(a: Size, b: Size) -> Size:
    if not b:
        return a
    if not a:
        return b
    total = dict(_terms(a))
    for monomial, c in _terms(b):
        total[monomial] = total.get(monomial, 0) + c
    return _build(total)


@lru_cache(_CACHE)
def _scale(size: Size, by: int) -> Size:
    if isinstance(size, int):
        return size * by
    return _build({m: c * by for m, c in size.terms})


@lru_cache(_CACHE)
def _mul(a: Size, b: Size) -> Size:
    if isinstance(b, int):
        return a if b == 1 else _scale(a, b)
    if isinstance(a, int):
        return b if a == 1 else _scale(b, a)
    product: dict[Monomial, int] = {}
    for m, c in a.terms:
        for n, d in b.terms:
            mn = _times(m, n)
            product[mn] = product.get(mn, 0) + c * d
    return _build(product)


@lru_cache(_CACHE)
def _times(m: Monomial, n: Monomial) -> Monomial:
    if not m or not n:
        return m or n
    powers = dict(m)
    for f, e in n:
        powers[f] = powers.get(f, 0) + e
    return tuple(sorted(powers.items(), key=lambda p: p[0].key))


def _quotient(m: Monomial, n: Monomial) -> Monomial | None:
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


def _long_division(n: Size, b: Size) -> tuple[Size, Size]:
    """(q, r) with n == q*b + r and no term of r divisible by the leading term of b."""
    (lead, lead_c), *others = _terms(b)
    todo = dict(_terms(n))
    q: dict[Monomial, int] = {}
    r: dict[Monomial, int] = {}
    while todo:
        monomial = min(todo, key=_order)
        c = todo.pop(monomial)
        t = _quotient(monomial, lead)
        if t is None or c % lead_c:
            r[monomial] = c
            continue
        k = q[t] = c // lead_c
        for other, d in others:
            m = _times(other, t)
            todo[m] = todo.get(m, 0) - k * d
            if not todo[m]:
                del todo[m]
        if len(q) > MAX_TERMS or len(todo) > 4 * MAX_TERMS:
            raise TooComplex(f"a quotient of more than {MAX_TERMS} terms")
    return _build(q), _build(r)


@lru_cache(_CACHE)
def exact_div(a: Size, b: Size) -> Size | None:
    """q with q*b == a for all sizes, or None when no such q is seen (also for b == 0)."""
    if not b:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return None if a % b else a // b
    q, r = _long_division(a, b)
    return q if r == 0 else None


def common_factor(*sizes: Size, allowed: Callable[[Factor], bool]) -> Monomial:
    """The greatest monomial of allowed factors that divides every term of every size."""
    shared: dict[Factor, int] | None = None
    for size in sizes:
        for monomial, _ in _terms(size):
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
    return _build({_must(_quotient(m, monomial)): c for m, c in _terms(size)})


def _must(monomial: Monomial | None) -> Monomial:
    assert monomial is not None, "a common factor divides every term"
    return monomial


# ------------------------------------------------------------------- division


def _split(n: Size, b: Size) -> tuple[Size, Size]:
    """(whole, rest) with n == whole*b + rest: all that can be taken out of n // b in normal form. b >= 1."""
    if len(_terms(b)) > 1:
        q, r = _long_division(n, b)
        return (q, r) if _within(r, b) else (0, n)
    ((divisor, d),) = _terms(b)
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, c in _terms(n):
        t = _quotient(monomial, divisor)
        if t is None:
            rest[monomial] = c
        else:
            whole[t], rest[monomial] = divmod(c, d)
    return _build(whole), _build(rest)


def _within(r: Size, b: Size) -> bool:
    """Is 0 <= r < b for all sizes?"""
    return nonnegative(r) and positive(_add(b, _scale(r, -1)))


def _shrink(n: Size, b: Size) -> tuple[Size, Size, Monomial, int]:
    """(n', b', monomial, g) such that n == monomial*(g*n' + n % g) and b == monomial*g*b'.

    g is taken from all but the constant of n; it is 1 where a monomial was cancelled.
    """
    monomial = common_factor(n, b, allowed=lambda f: _at_least(f, 1))
    if monomial:
        return cancel(n, monomial), cancel(b, monomial), monomial, 1
    g = gcd(*(c for _, c in _terms(b)), *(c for m, c in _terms(n) if m))
    if g > 1:
        n = _build({m: c // g for m, c in _terms(n)})
        b = _build({m: c // g for m, c in _terms(b)})
    return n, b, _ONE, g


@lru_cache(_CACHE)
def _floordiv(n: Size, b: Size) -> Size:
    if isinstance(b, int):
        if isinstance(n, int):
            return n // b
        if b == 0:
            raise ZeroDivisionError("a size divided by 0")
        if b == 1:
            return n
    if not positive(b):
        return _floordiv(_scale(n, -1), _scale(b, -1)) if positive(_scale(b, -1)) else _of(FloorDiv(n, b))
    whole, rest = _split(n, b)
    return _add(whole, _floordiv_rest(rest, b))


def _floordiv_rest(rest: Size, b: Size) -> Size:
    if _within(rest, b):
        return 0
    small, divisor, monomial, g = _shrink(rest, b)
    if monomial or g > 1:
        return _floordiv(small, divisor)
    if _terms(rest)[0][1] < 0:  # one form for every way to write a division that rounds up
        return _add(_scale(_floordiv(_add(_scale(rest, -1), -1), b), -1), -1)
    match _terms(rest):
        case ((((FloorDiv(n, inner), 1),), 1),) if positive(inner):
            return _floordiv(n, _mul(inner, b))
    return _of(FloorDiv(rest, b))


@lru_cache(_CACHE)
def _mod(n: Size, b: Size) -> Size:
    if isinstance(b, int):
        if isinstance(n, int):
            return n % b
        if b == 0:
            raise ZeroDivisionError("a size modulo 0")
    if not positive(b):
        if positive(_scale(b, -1)):
            return _scale(_mod(_scale(n, -1), _scale(b, -1)), -1)
        return _of(Mod(n, b))
    _, rest = _split(n, b)
    if _within(rest, b):
        return rest
    small, divisor, monomial, g = _shrink(rest, b)
    if monomial:
        return _mul(_mod(small, divisor), _build({monomial: 1}))
    if g > 1:
        constant = next((c for m, c in _terms(rest) if not m), 0)
        return _add(_scale(_mod(small, divisor), g), constant % g)
    return _of(Mod(rest, b))


# --------------------------------------------------------------------- bounds


@lru_cache(_CACHE)
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


def _at_least(factor: Factor, number: int) -> bool:
    least = lower(factor)
    return least is not None and least >= number


def _lower_size(size: Size) -> int | None:
    if isinstance(size, int):
        return size
    shifted = _shift(size)
    if shifted is None or any(c < 0 for m, c in shifted.items() if m):
        return 0 if nonnegative(size) else None
    return shifted.get(_ONE, 0)


@lru_cache(_CACHE)
def _shift(size: Dim) -> dict[Monomial, int] | None:
    """The size with every factor f written as its lower bound plus a new f >= 0; None where one has no bound."""
    total: dict[Monomial, int] = {}
    for monomial, c in size.terms:
        parts: dict[Monomial, int] = {_ONE: c}
        for f, e in monomial:
            least = lower(f)
            if least is None:
                return None
            for _ in range(e):
                grown: dict[Monomial, int] = {}
                for m, d in parts.items():
                    if least:
                        grown[m] = grown.get(m, 0) + d * least
                    up = _times(m, ((f, 1),))
                    grown[up] = grown.get(up, 0) + d
                parts = grown
            if len(parts) > 4 * MAX_TERMS:
                return None
        for m, d in parts.items():
            total[m] = total.get(m, 0) + d
    return total


def positive(size: Size) -> bool:
    """Is the size provably at least 1, whatever the symbols are?"""
    if isinstance(size, int):
        return size >= 1
    return len(size.terms) < MAX_TERMS and nonnegative(_add(size, -1))


def nonnegative(size: Size) -> bool:
    """Is the size provably at least 0, whatever the symbols are?"""
    return size >= 0 if isinstance(size, int) else _nonnegative(size, _PROOF_STEPS)


@lru_cache(_CACHE)
def _nonnegative(size: Size, steps: int) -> bool:
    if isinstance(size, int):
        return size >= 0
    shifted = _shift(size)
    if shifted is not None and all(c >= 0 for c in shifted.values()):
        return True
    if steps == 0:
        return False
    compounds = {f for m, _ in size.terms for f, _ in m if not isinstance(f, Symbol)}
    try:
        return any(
            all(_nonnegative(case, steps - 1) for case in cases)
            for f in sorted(compounds, key=lambda f: f.key)
            for cases in _weaker(size, f)
        )
    except TooComplex:  # no proof found
        return False


def _weaker(size: Dim, f: Factor) -> Iterable[tuple[Size, ...]]:
    """Ways to bound the size from below without the compound f: each is a tuple of sizes that must all be >= 0."""
    rest: dict[Monomial, int] = {}
    slope: dict[Monomial, int] = {}  # size == rest + slope * f
    for monomial, c in size.terms:
        powers = dict(monomial)
        if powers.get(f, 0) > 1:
            return
        if f not in powers:
            rest[monomial] = c
        elif all(_at_least(g, 0) for g, _ in monomial if g != f):
            slope[_must(_quotient(monomial, ((f, 1),)))] = c
        else:
            return
    signs = {c > 0 for c in slope.values()}
    rest_, slope_ = _build(rest), _build(slope)

    def put(bound: Size, scale: Size = 1) -> Size:
        """scale * size with `bound` in the place of scale * f."""
        return _add(_mul(rest_, scale), _mul(slope_, bound))

    rising = signs == {True}
    match f:
        case Min(a, b):
            yield from ([(put(a), put(b))] if signs != {False} else [(put(a),), (put(b),)])
        case Max(a, b):
            yield from ([(put(a), put(b))] if not rising else [(put(a),), (put(b),)])
        case Mod(_, b) if signs == {False} and positive(b):
            yield (put(_add(b, -1)),)
        case FloorDiv(a, b) if len(signs) == 1 and positive(b):
            # b*f lies between a - b + 1 and a
            yield (put(_add(_add(a, _scale(b, -1)), 1) if rising else a, b),)


# ---------------------------------------------------------- minimum, maximum


@lru_cache(_CACHE)
def minimum(a: Size, b: Size) -> Size:
    """The smaller size: a or b itself where the bounds prove it."""
    return _extreme(a, b, Min)


@lru_cache(_CACHE)
def maximum(a: Size, b: Size) -> Size:
    """The greater size: a or b itself where the bounds prove it."""
    return _extreme(a, b, Max)


def _extreme(a: Size, b: Size, kind: type[Min] | type[Max]) -> Size:
    gap = _add(b, _scale(a, -1))
    if nonnegative(gap):
        return a if kind is Min else b
    if nonnegative(_scale(gap, -1)):
        return b if kind is Min else a
    first, second = sorted((a, b), key=_key)
    return _of(kind(first, second))


# ---------------------------------------------------- substitution, evaluation


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    """The size with sizes in the place of symbols, in normal form again.

    Raises ZeroDivisionError where a divisor becomes the int 0.
    """
    if isinstance(size, int) or symbols(size).isdisjoint(values):
        return size
    total: Size = 0
    for monomial, c in size.terms:
        term: Size = c
        for f, e in monomial:
            value = _substitute_factor(f, values)
            for _ in range(e):
                term = _mul(term, value)
        total = _add(total, term)
    return total


def _substitute_factor(f: Factor, values: Mapping[str, Size]) -> Size:
    if isinstance(f, Symbol):
        value = values.get(f.name)
        return _of(f) if value is None else value
    return _apply(f, substitute(f.a, values), substitute(f.b, values))


def _apply(f: Factor, a: Size, b: Size) -> Size:
    match f:
        case FloorDiv():
            return _floordiv(a, b)
        case Mod():
            return _mod(a, b)
        case Min():
            return minimum(a, b)
        case _:
            return maximum(a, b)


def evaluate(size: Size, values: Mapping[str, int]) -> int:
    """The number that the size is for these values; KeyError for a missing name, ZeroDivisionError as in Python."""
    if isinstance(size, int):
        return size
    total = 0
    for monomial, c in size.terms:
        term = c
        for f, e in monomial:
            term *= _evaluate_factor(f, values) ** e
        total += term
    return total


def _evaluate_factor(f: Factor, values: Mapping[str, int]) -> int:
    if isinstance(f, Symbol):
        return values[f.name]
    a, b = evaluate(f.a, values), evaluate(f.b, values)
    match f:
        case FloorDiv():
            return a // b
        case Mod():
            return a % b
        case Min():
            return min(a, b)
        case _:
            return max(a, b)
