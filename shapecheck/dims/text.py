"""Sizes as text: `show` prints the one canonical form, `parse` reads it back (and whatever else arithmetic allows)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from math import gcd

from shapecheck.dims.bounds import maximum, minimum
from shapecheck.dims.size import (
    Factor,
    FloorDiv,
    Max,
    Min,
    Mod,
    Monomial,
    Size,
    Symbol,
    cancel,
    common_factor,
    polynomial_quotient,
    symbol,
)

Names = Callable[[str], str]

_SUM, _DIVISION, _PRODUCT, _ATOM = range(4)  # how tightly a piece of text binds; products go bare before `//`


def show(size: Size, names: Names | None = None) -> str:
    """`B*(G + 1)`, `2*B - 1`, `n//B`, `max(B, Q)`; `names` translates the symbols."""
    if isinstance(size, int):
        return str(size)
    return _show(size) if names is None else _render(size, names)[0]


@lru_cache(1 << 14)
def _show(size: Size) -> str:
    return _render(size, str)[0]


def _render(size: Size, names: Names) -> tuple[str, int]:
    if isinstance(size, int):
        return str(size), _ATOM if size >= 0 else _SUM
    if len(size.terms) > 1:
        shared = common_factor(size, allowed=lambda _: True)
        if shared:
            return _render_factored(size, shared, names)
        return _render_sum(size, names), _SUM
    ((monomial, c),) = size.terms
    return _render_product(c, monomial, names)


def _render_factored(size: Size, shared: Monomial, names: Names) -> tuple[str, int]:
    inner = cancel(size, shared)
    assert not isinstance(inner, int), "several terms stay several"
    content = gcd(*(c for _, c in inner.terms))
    reduced = polynomial_quotient(inner, content)
    assert reduced is not None, "the greatest common divisor divides"
    text = _enclose(_render_product(content, shared, names), _PRODUCT)
    return f"{text}*({_render(reduced, names)[0]})", _PRODUCT


def _render_sum(size: Size, names: Names) -> str:
    assert not isinstance(size, int), "a sum has terms"
    positive_first = sorted(size.terms, key=lambda t: t[1] < 0) if size.terms[0][1] < 0 else size.terms
    text = ""
    for monomial, c in positive_first:
        if text:
            text += (" - " if c < 0 else " + ") + _render_product(abs(c), monomial, names)[0]
        else:
            text = _render_product(c, monomial, names)[0]
    return text


def _render_product(c: int, monomial: Monomial, names: Names) -> tuple[str, int]:
    if not monomial:
        return str(c), _ATOM if c >= 0 else _SUM
    if abs(c) == 1 and len(monomial) == 1 and monomial[0][1] == 1:
        text, level = _render_factor(monomial[0][0], names)
        return (f"-{_enclose((text, level), _ATOM)}", _SUM) if c < 0 else (text, level)
    pieces = [] if abs(c) == 1 else [str(abs(c))]
    for f, e in monomial:
        pieces += [_enclose(_render_factor(f, names), _ATOM)] * e
    return "-" * (c < 0) + "*".join(pieces), _SUM if c < 0 else _PRODUCT


def _render_factor(f: Factor, names: Names) -> tuple[str, int]:
    match f:
        case Symbol(name):
            return names(name), _ATOM
        case FloorDiv(a, b):
            return f"{_enclose(_render(a, names), _PRODUCT)}//{_enclose(_render(b, names), _ATOM)}", _DIVISION
        case Mod(a, b):
            return f"{_enclose(_render(a, names), _PRODUCT)} % {_enclose(_render(b, names), _ATOM)}", _DIVISION
        case Min(a, b):
            return f"min({_render(a, names)[0]}, {_render(b, names)[0]})", _ATOM
        case Max(a, b):
            return f"max({_render(a, names)[0]}, {_render(b, names)[0]})", _ATOM


def _enclose(piece: tuple[str, int], at_least: int) -> str:
    text, level = piece
    return text if level >= at_least else f"({text})"


# --------------------------------------------------------------------- parsing

_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_?][\w.?]*)|(//|[-+*%(),]))")


def parse(text: str) -> Size:
    """The size that `text` writes, with + - * // % ( ) min max, integers and names.

    Raises ValueError for anything else, ZeroDivisionError for a division by 0.
    """
    tokens = _tokens(text)
    size, at = _parse_sum(tokens, 0)
    if tokens[at]:
        raise ValueError(f"{tokens[at]!r} is not expected in {text!r}")
    return size


def _tokens(text: str) -> list[str]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"cannot read {text[at:]!r} in {text!r}")
        tokens.append(found.group(found.lastindex or 0))
        at = found.end()
    return [*tokens, ""]


def _parse_sum(tokens: list[str], at: int) -> tuple[Size, int]:
    size, at = _parse_product(tokens, at)
    while tokens[at] in ("+", "-"):
        right, after = _parse_product(tokens, at + 1)
        size = size + right if tokens[at] == "+" else size - right
        at = after
    return size, at


def _parse_product(tokens: list[str], at: int) -> tuple[Size, int]:
    size, at = _parse_atom(tokens, at)
    while tokens[at] in ("*", "//", "%"):
        right, after = _parse_atom(tokens, at + 1)
        match tokens[at]:
            case "*":
                size = size * right
            case "//":
                size = size // right
            case _:
                size = size % right
        at = after
    return size, at


def _parse_atom(tokens: list[str], at: int) -> tuple[Size, int]:
    token = tokens[at]
    if token == "-":
        size, at = _parse_atom(tokens, at + 1)
        return -size, at
    if token == "(":
        size, at = _parse_sum(tokens, at + 1)
        return size, _expect(tokens, at, ")")
    if token in ("min", "max") and tokens[at + 1] == "(":
        first, at = _parse_sum(tokens, at + 2)
        second, at = _parse_sum(tokens, _expect(tokens, at, ","))
        return (minimum if token == "min" else maximum)(first, second), _expect(tokens, at, ")")
    if token.isdigit():
        return int(token), at + 1
    if token and (token[0].isalpha() or token[0] in "_?"):
        return symbol(token), at + 1
    raise ValueError(f"a size is expected before {token!r}" if token else "a size is expected at the end")


def _expect(tokens: list[str], at: int, token: str) -> int:
    if tokens[at] != token:
        raise ValueError(f"{token!r} is expected, got {tokens[at]!r}")
    return at + 1
