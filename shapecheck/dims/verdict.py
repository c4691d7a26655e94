"""Are two sizes equal: always, never, or only when? The condition is the finding's most useful clause.

`compare` works on the difference a - b, which must vanish: common positive factors are cancelled, bounds and
divisibility refute, and what is left is the condition in simplest form.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from shapecheck.dims.bounds import nonnegative, positive
from shapecheck.dims.cases import by_cases, no_witness
from shapecheck.dims.reduction import Equation, equation, simplest, without_content
from shapecheck.dims.size import Dim, Size, TooComplex, as_symbol, has_compound, symbol, symbols
from shapecheck.dims.substitution import evaluate, substitute
from shapecheck.dims.text import Names, show


class Kind(Enum):
    ALWAYS = "ALWAYS"
    NEVER = "NEVER"
    SOMETIMES = "SOMETIMES"


@dataclass(frozen=True, slots=True)
class Verdict:
    """ALWAYS equal, NEVER equal, or SOMETIMES: exactly when every equation of `condition` holds.

    `proven` is False for an ALWAYS that only says that nobody can show a difference: no finding may come of it, and
    nothing may rest upon it.
    """

    kind: Kind
    condition: tuple[Equation, ...] = ()
    proven: bool = True

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
UNSHOWN = Verdict(Kind.ALWAYS, proven=False)


def sometimes(*equations: Equation) -> Verdict:
    """Equal exactly when all these equations hold."""
    return Verdict(Kind.SOMETIMES, equations)


def compare(a: Size, b: Size) -> Verdict:
    """Whether a == b, over all values of the symbols (integers of at least 1).

    ALWAYS and NEVER are proven, with one exception on the quiet side: where `//`, `%`, min or max are involved and no
    values tried tell the sides apart, the verdict is UNSHOWN, for a difference that nobody can show is no finding.
    """
    if a is b or a == b:
        return ALWAYS
    if isinstance(a, int):
        return NEVER if isinstance(b, int) else _compare(b, a)
    return _compare(a, b)


@lru_cache(1 << 13)
def _compare(a: Dim, b: Size) -> Verdict:
    if as_symbol(a) is not None:
        if isinstance(b, int):
            return sometimes((a, b)) if b >= 1 else NEVER
        if as_symbol(b) is not None:
            return sometimes((a, b))
    try:
        difference = a - b
    except TooComplex:  # the sum of two bearable sizes need not be one
        return sometimes((a, b))
    if isinstance(difference, int):
        return NEVER
    return _vanishes(difference)


def _vanishes(difference: Dim) -> Verdict:
    reduced = without_content(difference)
    if reduced is None:
        return NEVER
    if positive(reduced) or positive(-reduced):
        return NEVER
    if has_compound(reduced):
        decided = by_cases(reduced)
        if decided is not None:
            return ALWAYS if decided else NEVER
        return UNSHOWN if no_witness(reduced) else sometimes(equation(simplest(reduced)))
    corner = _corner(reduced)
    if corner is not None:
        return corner
    names = symbols(reduced)
    if len(names) == 1:
        return _one_unknown(reduced, next(iter(names)))
    return sometimes(equation(simplest(reduced)))


def _corner(size: Dim) -> Verdict | None:
    """`B*G - 1`, `B + G - 2`: 0 is the least value, taken only where each symbol in a sum of parts is 1."""
    if sum(c for _, c in size.terms) != 0:  # its value where all symbols are 1
        return None
    for side in (size, -size):
        if isinstance(side, Dim) and nonnegative(side):
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
        return sometimes(equation(size))
    if len(size.terms) == 2 and size.terms[0][0][0][1] == 1:
        root = -constant // size.terms[0][1]
        return sometimes((symbol(name), root)) if root * size.terms[0][1] == -constant and root > 0 else NEVER
    small = [n for n in range(1, min(abs(constant), 1 << 10) + 1) if constant % n == 0]
    complete = abs(constant) <= 1 << 20
    candidates = sorted({*small, *(abs(constant) // n for n in small)})
    roots = [n for n in candidates if evaluate(size, {name: n}) == 0]
    if len(roots) == 1 and complete:
        return sometimes((symbol(name), roots[0]))
    return NEVER if not roots and complete else sometimes(equation(size))
