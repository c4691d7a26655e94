"""Are two sizes equal: always, never, or only when? The condition is the finding's most useful clause.

`compare` works on the difference a - b, which must vanish: common positive factors are cancelled, bounds and
divisibility refute, and what is left is the condition in simplest form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import product
from math import gcd

from shapecheck.dims.size import (
    Dim,
    FloorDiv,
    Max,
    Min,
    Mod,
    Size,
    Symbol,
    TooComplex,
    as_symbol,
    cancel,
    common_factor,
    evaluate,
    exact_div,
    lower,
    nonnegative,
    positive,
    substitute,
    symbol,
    symbols,
)
from shapecheck.dims.text import Names, show

Equation = tuple[Size, Size]


class Kind(Enum):
    ALWAYS = "ALWAYS"
    NEVER = "NEVER"
    SOMETIMES = "SOMETIMES"


@dataclass(frozen=True, slots=True)
class Verdict:
    """ALWAYS equal, NEVER equal, or SOMETIMES: exactly when every equation of `condition` holds."""

    kind: Kind
    condition: tuple[Equation, ...] = ()

    @property
    def always(self) -> bool:
        return self.kind is Kind.ALWAYS

    @property
    def never(self) -> bool:
        return self.kind is Kind.NEVER

    @property
    def sometimes(self) -> bool:
        return self.kind is Kind.SOMETIMES

    def when(self, names: Names | None = None) -> str:
        """The condition as words, `G = 1` or `B = 1 and G = 1`; empty unless SOMETIMES. `names` translates symbols."""
        return " and ".join(f"{show(a, names)} = {show(b, names)}" for a, b in self.condition)


ALWAYS = Verdict(Kind.ALWAYS)
NEVER = Verdict(Kind.NEVER)


def sometimes(*equations: Equation) -> Verdict:
    """Equal exactly when all these equations hold."""
    return Verdict(Kind.SOMETIMES, equations)


def compare(a: Size, b: Size) -> Verdict:
    """Whether a == b, over all values of the symbols (integers of at least 1).

    ALWAYS and NEVER are proven, with one exception on the quiet side: where `//`, `%`, min or max are involved and no
    values tried tell the sides apart, the verdict is ALWAYS, for a difference that nobody can show is no finding.
    """
    if a is b or a == b:
        return ALWAYS
    if isinstance(a, int) and isinstance(b, int):
        return NEVER
    return _compare(a, b)


@lru_cache(1 << 15)
def _compare(a: Size, b: Size) -> Verdict:
    try:
        difference = a - b
    except TooComplex:  # the sum of two bearable sizes need not be one
        return sometimes((a, b))
    if isinstance(difference, int):
        return NEVER
    return _vanishes(difference)


def _vanishes(difference: Dim) -> Verdict:
    reduced = _reduce(difference)
    if reduced is None:
        return NEVER
    if _compound(reduced):
        decided = _by_cases(reduced)
        if decided is not None:
            return decided
        if _no_witness(reduced):
            return ALWAYS
    if positive(reduced) or positive(-reduced):
        return NEVER
    corner = _corner(reduced)
    if corner is not None:
        return corner
    names = symbols(reduced)
    if len(names) == 1 and not _compound(reduced):
        return _one_unknown(reduced, next(iter(names)))
    return sometimes(_equation(_linear(reduced)))


def _reduce(difference: Dim) -> Dim | None:
    """The difference without the factors that can't be 0; None where its integer content rules 0 out."""
    shared = common_factor(difference, allowed=lambda f: (lower(f) or 0) >= 1)
    reduced = cancel(difference, shared)
    if isinstance(reduced, int):
        return None
    content = gcd(*(c for m, c in reduced.terms if m))
    if content == 1:
        return reduced
    if any(not m and c % content for m, c in reduced.terms):
        return None
    divided = exact_div(reduced, content)
    assert isinstance(divided, Dim), "the content divides, and a monomial is left"
    return divided


def _compound(size: Dim) -> bool:
    return any(not isinstance(f, Symbol) for m, _ in size.terms for f, _ in m)


def _corner(size: Dim) -> Verdict | None:
    """`B*G - 1`, `B + G - 2`: 0 is the least value, taken only where each symbol in a sum of parts is 1."""
    for side in (size, -size):
        if isinstance(side, Dim) and not _compound(side) and nonnegative(side):
            names = sorted(symbols(side))
            zero_at_one = [n for n in names if positive(substitute(side, {n: symbol(n) + 1}))]
            left = substitute(side, dict.fromkeys(zero_at_one, 1))
            if zero_at_one and left == 0:
                return sometimes(*((symbol(n), 1) for n in zero_at_one))
    return None


def _one_unknown(size: Dim, name: str) -> Verdict:
    """A polynomial in one symbol: its roots of at least 1 divide the constant term."""
    constant = next((c for m, c in size.terms if not m), 0)
    if abs(constant) > 1 << 40:  # too many divisors to try
        return sometimes(_equation(size))
    if len(size.terms) == 2 and size.terms[0][0][0][1] == 1:
        root = -constant // size.terms[0][1]
        return sometimes((symbol(name), root)) if root * size.terms[0][1] == -constant and root > 0 else NEVER
    small = [n for n in range(1, min(abs(constant), 1 << 10) + 1) if constant % n == 0]
    complete = abs(constant) <= 1 << 20
    candidates = sorted({*small, *(abs(constant) // n for n in small)})
    roots = [n for n in candidates if evaluate(size, {name: n}) == 0]
    if len(roots) == 1 and complete:
        return sometimes((symbol(name), roots[0]))
    return NEVER if not roots and complete else sometimes(_equation(size))


def _linear(size: Dim) -> Dim:
    """`(B + 1)*G - 2*(B + 1)` is 0 only where `G - 2` is: drops the factor that can't be 0."""
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
        quotient = exact_div(offset, slope)
        if quotient is not None and (positive(slope) or positive(-slope)):
            left = s + quotient
            if isinstance(left, Dim):
                return left
    return size


def _equation(size: Dim) -> Equation:
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


# ------------------------------------------------------------ compound factors

_MAX_CASES = 64


def _by_cases(size: Dim) -> Verdict | None:
    """Tries every remainder of the symbols divided by numbers, and both arms of min and max."""
    try:
        cases = list(_cases(size))
    except (TooComplex, ZeroDivisionError):
        return None
    if not cases:
        return None
    if all(case == 0 for case in cases):
        return ALWAYS
    return NEVER if all(_nowhere_zero(case) for case in cases) else None


def _nowhere_zero(size: Size) -> bool:
    if isinstance(size, int):
        return size != 0
    reduced = _reduce(size)
    return reduced is None or positive(reduced) or positive(-reduced)


def _cases(size: Dim) -> Iterator[Size]:
    moduli: dict[str, int] = {}
    for f in {f for m, _ in size.terms for f, _ in m}:
        match f:
            case (FloorDiv(a, b) | Mod(a, b)) if isinstance(b, int):
                for name in symbols(a):
                    known = moduli.get(name, 1)
                    moduli[name] = known * b // gcd(known, b)
    names = sorted(moduli)
    count = 1
    for n in names:
        count *= moduli[n]
    if not 1 < count <= _MAX_CASES:
        yield from _arms(size)
        return
    for residues in product(*(range(moduli[n]) for n in names)):
        values: Mapping[str, Size] = {n: moduli[n] * symbol(n) - r for n, r in zip(names, residues)}
        yield from _arms(substitute(size, values))


def _arms(size: Size) -> Iterator[Size]:
    """The size with all Max written by Min, and each Min replaced by one of its sides, then by the other."""
    if isinstance(size, Dim):
        for f in sorted({f for m, _ in size.terms for f, _ in m}, key=lambda f: f.key):
            if isinstance(f, Max | Min | Mod):
                for value in _values(f):
                    yield from _arms(_replace(size, f, value))
                return
    yield size


def _values(f: Max | Min | Mod) -> tuple[Size, ...]:
    match f:
        case Max(a, b):
            return (a + b - Dim(((((Min(a, b), 1),), 1),)),)
        case Mod(a, b):
            return (a - b * Dim(((((FloorDiv(a, b), 1),), 1),)),)
        case _:
            return (f.a, f.b)


def _replace(size: Dim, f: object, value: Size) -> Size:
    total: Size = 0
    for m, c in size.terms:
        term: Size = c
        for g, e in m:
            for _ in range(e):
                term = term * (value if g == f else Dim(((((g, 1),), 1),)))
        total = total + term
    return total


def _no_witness(size: Dim) -> bool:
    """Is the size 0 for all values tried? They reach past every number that occurs in it."""
    names = sorted(symbols(size))
    tried = 0
    for seed in range(1, 97):
        values = {n: _draw(seed, i) for i, n in enumerate(names)}
        try:
            if evaluate(size, values) != 0:
                return False
            tried += 1
        except ZeroDivisionError:
            continue
    return tried > 0


def _draw(seed: int, index: int) -> int:
    """Spread deterministically over 1..9, 1..200 and 1..2**31."""
    mixed = (seed * 2654435761 + (index + 1) * 40503 * seed * seed + index * 97) & 0x7FFFFFFF
    return 1 + mixed // 7 % (9, 200, 1 << 31)[seed % 3]


# --------------------------------------------------------------------- solving


def solve(
    a: Size, b: Size, prefer: Callable[[str], bool] | None = None, only_preferred: bool = False
) -> tuple[str, Size] | None:
    """(name, definition) that makes a == b true, where one bare symbol occurs alone in a - b, else None.

    Symbols that `prefer` likes come first, and with `only_preferred` no others are taken. A definition that is nowhere
    at least 1 is none; one that may be is given.
    """
    if isinstance(a, int) and isinstance(b, int):
        return None
    try:
        difference = a - b
    except TooComplex:
        return None
    reduced = None if isinstance(difference, int) else _reduce(difference)
    if reduced is None:
        return None
    if not _compound(reduced):
        reduced = _linear(reduced)
    found: list[tuple[bool, bool, str, Size]] = []
    for m, c in reduced.terms:
        name = as_symbol(Dim(((m, 1),))) if m else None
        if name is None or abs(c) != 1:
            continue
        liked = prefer is not None and prefer(name)
        if only_preferred and not liked:
            continue
        definition = symbol(name) - c * reduced
        if name in symbols(definition) or nonnegative(-definition):
            continue
        found.append((not liked, isinstance(definition, Dim) and as_symbol(definition) is None, name, definition))
    if not found:
        return None
    *_, name, definition = min(found, key=lambda f: f[:3])
    return name, definition
