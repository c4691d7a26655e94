"""Sizes: polynomials over names that are at least 1, and what comparing two of them can say.

    B, G = symbol("B"), symbol("G")
    (B * G + B) // B                # G + 1
    compare(B * G, B).when()        # "G = 1"
    show(minimum(B, G) * 2)         # "2*min(B, G)"

A size is an `int` or a `Dim`; a `Dim` that is constant doesn't exist, so `==` on sizes is equality for all
values of the symbols as far as the normal form can see. Arithmetic raises `TooComplex` when a result outgrows the
bounds set in `size.py`.
"""

from shapecheck.dims.bounds import maximum, minimum, nonnegative, positive
from shapecheck.dims.division import exact_div
from shapecheck.dims.size import (
    Dim,
    FloorDiv,
    Max,
    Min,
    Mod,
    Size,
    Symbol,
    TooComplex,
    as_quotient,
    as_symbol,
    divisors,
    has_compound,
    symbol,
    symbols,
)
from shapecheck.dims.solving import solve
from shapecheck.dims.substitution import evaluate, substitute
from shapecheck.dims.text import parse, show
from shapecheck.dims.verdict import ALWAYS, NEVER, Kind, Verdict, compare, sometimes

__all__ = [
    "ALWAYS",
    "NEVER",
    "Dim",
    "FloorDiv",
    "Kind",
    "Max",
    "Min",
    "Mod",
    "Size",
    "Symbol",
    "TooComplex",
    "Verdict",
    "as_quotient",
    "as_symbol",
    "compare",
    "divisors",
    "evaluate",
    "exact_div",
    "has_compound",
    "maximum",
    "minimum",
    "nonnegative",
    "parse",
    "positive",
    "show",
    "solve",
    "sometimes",
    "substitute",
    "symbol",
    "symbols",
]
