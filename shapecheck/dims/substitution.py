"""Sizes and numbers in the place of symbols."""

from __future__ import annotations

from collections.abc import Mapping

from shapecheck.dims.bounds import maximum, minimum
from shapecheck.dims.division import floordiv, mod
from shapecheck.dims.size import Factor, FloorDiv, Min, Mod, Size, Symbol, add, mul, single, symbols


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
                term = mul(term, value)
        total = add(total, term)
    return total


def _substitute_factor(f: Factor, values: Mapping[str, Size]) -> Size:
    if isinstance(f, Symbol):
        value = values.get(f.name)
        return single(f) if value is None else value
    return _apply(f, substitute(f.a, values), substitute(f.b, values))


def _apply(f: Factor, a: Size, b: Size) -> Size:
    match f:
        case FloorDiv():
            return floordiv(a, b)
        case Mod():
            return mod(a, b)
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
