"""Deciding `size == 0` where floor division, remainder, min or max are involved: by cases, or by trying values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice, product
from math import gcd
from random import Random

from shapecheck.dims.bounds import minimum
from shapecheck.dims.reduction import nowhere_zero
from shapecheck.dims.size import Dim, FloorDiv, Max, Min, Mod, Size, TooComplex, replaced, symbol, symbols
from shapecheck.dims.substitution import evaluate, substitute

_MAX_CASES = 128


def by_cases(size: Dim) -> bool | None:
    """Is the size 0 everywhere (True), nowhere (False), or neither that could be proven (None)?

    Goes through every remainder of the symbols divided by numbers, and both arms of min and max.
    """
    try:
        cases = list(islice(_cases(size), _MAX_CASES + 1))
    except (TooComplex, ZeroDivisionError):
        return None
    if len(cases) > _MAX_CASES:
        return None
    if all(case == 0 for case in cases):
        return True
    return False if all(nowhere_zero(case) for case in cases) else None


def _cases(size: Dim) -> Iterator[Size]:
    moduli: dict[str, int] = {}
    for f in {f for m, _ in size.terms for f, _ in m}:
        match f:
            case FloorDiv(a, b) | Mod(a, b) if isinstance(b, int):
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
    """The size without Mod and Max, which floor division and Min can express, and with either side for each Min."""
    if isinstance(size, Dim):
        for f in sorted({f for m, _ in size.terms for f, _ in m}, key=lambda f: f.key):
            if isinstance(f, Max | Min | Mod):
                for value in _values(f):
                    yield from _arms(replaced(size, f, value))
                return
    yield size


def _values(f: Max | Min | Mod) -> tuple[Size, ...]:
    match f:
        case Max(a, b):
            return (a + b - minimum(a, b),)
        case Mod(a, b):
            return (a - b * (a // b),)
        case _:
            return (f.a, f.b)


def no_witness(size: Dim) -> bool:
    """Is the size 0 for all values tried, small ones and of every order of magnitude up to a million?"""
    names = sorted(symbols(size))
    tried = False
    for row in _trials():
        try:
            if evaluate(size, {n: row[i % len(row)] for i, n in enumerate(names)}) != 0:
                return False
            tried = True
        except ZeroDivisionError:
            continue
    return tried


@lru_cache(1)
def _trials() -> tuple[tuple[int, ...], ...]:
    random = Random(0)
    return tuple(
        tuple(int(10 ** random.uniform(0, magnitude)) for _ in range(64)) for _ in range(96) for magnitude in (1, 6)
    )
