"""Which symbol an equation defines."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from shapecheck.dims.bounds import nonnegative, positive
from shapecheck.dims.reduction import equal_pair, linear, without_content
from shapecheck.dims.size import Dim, Size, TooComplex, as_symbol, has_compound, symbol, symbols


def solve(
    a: Size, b: Size, prefer: Callable[[str], bool] | None = None, only_preferred: bool = False
) -> tuple[str, Size] | None:
    """(name, definition) that makes a == b true, where one bare symbol occurs alone in a - b, else None.

    Symbols that `prefer` likes come first, and with `only_preferred` no others are taken; then those whose definition
    is surely at least 1, then the shorter definition. One that is nowhere at least 1 is none; one that may be is given.
    """
    if isinstance(a, int) and isinstance(b, int):
        return None
    definitions = _definitions(a, b)
    if prefer is not None:
        liked = tuple(d for d in definitions if prefer(d[0]))
        definitions = liked if liked or only_preferred else definitions
    elif only_preferred:
        return None
    return definitions[0] if definitions else None


@lru_cache(1 << 13)
def _definitions(a: Size, b: Size) -> tuple[tuple[str, Size], ...]:
    """All symbols that a == b defines, best first."""
    try:
        difference = a - b
    except TooComplex:
        return ()
    reduced = None if isinstance(difference, int) else without_content(difference)
    if reduced is None:
        return ()
    if not has_compound(reduced):
        reduced = linear(equal_pair(reduced))
    found: list[tuple[bool, int, str, Size]] = []
    for m, c in reduced.terms:
        name = as_symbol(Dim(((m, 1),))) if m else None
        if name is None or abs(c) != 1:
            continue
        definition = symbol(name) - c * reduced
        if name not in symbols(definition) and not nonnegative(-definition):
            length = len(definition.terms) if isinstance(definition, Dim) else 0
            found.append((not positive(definition), length, name, definition))
    return tuple((name, definition) for _, _, name, definition in sorted(found, key=lambda f: f[:3]))
