"""Pieces of text that have the form of a shape: `(B, D)`, `[B x D]`, `(2N)x(2N-1)`, `B B*G`, `NxK`.

Form only: whether such a piece means a shape is for `likely` and for the readers of comments and docstrings to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from shapecheck.intent.axis import GLUED, Item, read_axis, short
from shapecheck.intent.vocabulary import NUMERIC, SURE

__all__ = ["Piece", "bare_at", "bracket_at", "brackets", "chain_at", "piece_at"]


@dataclass(frozen=True, slots=True)
class Piece:
    """`text[start:end]` read as a list of axes. `form`: "(" "[" (bracketed), "x", "," or " " (bare), by separator."""

    start: int
    end: int
    items: tuple[Item, ...]
    form: str
    trailing_comma: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(item.axis for item in self.items)


# ------------------------------------------------------------------ bracketed

_OPEN = {"(": ")", "[": "]"}
_BY = r"\s+[xX]\s+|\s*×\s*|\s*\\times\s*|(?<=\))[xX](?=[\w(])|(?<=[\dA-Z])x(?=\()"
_TIMES = re.compile(_BY)


def _closing(text: str, at: int) -> int | None:
    stack = []
    for index in range(at, min(len(text), at + 400)):
        char = text[index]
        if char in _OPEN:
            stack.append(_OPEN[char])
        elif char in ")]":
            if not stack or stack.pop() != char:
                return None
            if not stack:
                return index
    return None


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` outside brackets and braces."""
    parts, depth, last = [], 0, 0
    for index, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == separator and depth == 0:
            parts.append(text[last:index])
            last = index + 1
    return [*parts, text[last:]]


def _read_all(parts: list[str]) -> tuple[Item, ...] | None:
    items = []
    for part in parts:
        item = read_axis(part)
        if item is None:
            return None
        items.append(item)
    items = _run(items)
    stars = sum(item.axis.startswith(("...", "*")) for item in items)
    return tuple(items) if items and stars <= 1 else None


def _run(items: list[Item]) -> list[Item]:
    """`d_1, d_2, ..., d_K` stands for any number of axes, none included."""
    at = next((i for i, item in enumerate(items) if item.axis == "..."), 0)
    if not 0 < at < len(items) - 1:
        return items
    last = items[at + 1].axis
    first = at
    while first and re.fullmatch(rf"{re.escape(last[0])}_?\w{{1,2}}", items[first - 1].axis):
        first -= 1
    if first == at or not re.fullmatch(r"[A-Za-z]_?\w{1,2}", last):
        return items
    return [*items[:first], items[at], *items[at + 2 :]]


def _inner(text: str) -> tuple[tuple[Item, ...] | None, bool]:
    """The axes between two brackets, and whether a comma ends them."""
    parts = _split(text, ",")
    if len(parts) > 1:
        trailing = not parts[-1].strip()
        return _read_all(parts[:-1] if trailing else parts), trailing
    chain = _split_by(text.strip())
    if len(chain) > 1:
        return _read_all(chain), False
    if len(text.split()) > 1:
        items = _read_spaced(text)
        if items and all(i.score in (SURE, NUMERIC) and short(i) for i in items):
            return items, False
    item = read_axis(text)
    return ((item,) if item else None), False


_OPERATOR = re.compile(r"(?:^|\s)(?:[-+*/·^]|//|\*\*)(?=\s|$)")


def _read_spaced(text: str) -> tuple[Item, ...] | None:
    """`B B*G`; with an operator between spaces (`B * G`) it is one axis."""
    words = " ".join(text.split())
    return _read_all([words] if _OPERATOR.search(words) else _split(words, " "))


def _split_by(text: str) -> list[str]:
    """The factors of `B x (C x D)`, `NxK`: outside brackets."""
    if GLUED.match(text):
        return text.split("x")
    masked = re.sub(r"\([^()]*\)", lambda m: "(" + "_" * (len(m[0]) - 2) + ")", text)
    cuts = [0, *(at for m in _TIMES.finditer(masked) for at in m.span()), len(text)]
    parts = [text[a:b] for a, b in zip(cuts[::2], cuts[1::2])]
    if len(parts) == 1:
        return parts
    return [axis for part in parts for axis in (part.split("x") if GLUED.match(part) else (part,))]  # `(8N)xCxHxW`


def bracket_at(text: str, at: int) -> Piece | None:
    """The piece between the bracket at `at` and the one that closes it."""
    end = _closing(text, at)
    if end is None:
        return None
    chain = re.compile(r"\s*(?:x|×)\s*(?=[\w(])(?![xX]\b)").match(text, end + 1)
    if text[at] == "(" and chain and (piece := chain_at(text, at)):
        return piece
    items, trailing = _inner(text[at + 1 : end])
    return Piece(at, end + 1, items, text[at], trailing) if items else None


def brackets(text: str) -> Iterator[Piece]:
    """Every bracketed piece of the text from left to right, outermost first; calls (`f(B, D)`) are not pieces."""
    at = 0
    while at < len(text):
        if text[at] in _OPEN and not (at and (text[at - 1].isalnum() or text[at - 1] in "_)]")):
            piece = bracket_at(text, at)
            if piece is not None:
                yield piece
                at = piece.end
                continue
        at += 1


# ----------------------------------------------------------------------- bare

_FACTOR = r"(?:\([^()]*\)|\d*[A-Za-z_][\w.]*'?(?:\s+[*+]\s*[\w.]+|[*+]\s+[\w.]+|[-*+/]+[\w.]+)*|\d+)"
_CHAIN = re.compile(rf"{_FACTOR}(?:(?:{_BY}){_FACTOR})+(?![\w(])")
_STOP = re.compile(r"\s*(?:$|[;|#]|\s\(|\s-\s|\s--|\s—|,\s*\w+\s*[:=]|,\s+(?:result|out|output)\b)")


_HELD = re.compile(r"\s*\(([A-Z]\w?|\d+)\)\s*\Z")


def chain_at(text: str, at: int) -> Piece | None:
    """`n1 x D`, `(2N)x(2N-1)`."""
    match = _CHAIN.match(text, at)
    if match is None:
        return None
    items = _read_all(_split_by(match[0]))
    return Piece(at, match.end(), items, "x") if items else None


def bare_at(text: str, at: int) -> Piece | None:
    """A list of axes without brackets; commas and spaces must reach to the end of the clause."""
    piece = chain_at(text, at)
    if piece is not None:
        return piece
    word = re.compile(r"\S+").match(text, at)
    if word and GLUED.match(word[0]) and (items := _read_all(word[0].split("x"))):
        return Piece(at, word.end(), items, "x")
    stop = _STOP.search(text, at)
    end = stop.start() if stop else len(text)
    if stop and stop[0].endswith("(") and text[at:end].endswith(",") and (last := _closing(text, stop.end() - 1)):
        end = last + 1 if not text[last + 1 :].strip() else at  # `n,1, (m+2*pad)`
    clause = text[at:end]
    if "," in clause:
        items, form = _read_all(_split(re.sub(r"(?<![.\s])\.?[\s,]*\Z", "", clause), ",")), ","
    else:
        held = _HELD.match(text, end)  # `BG 2 M (S)`: the last axis, in brackets of its own
        if held and len(clause.split()) > 1 and (axis := read_axis(held[1])) and short(axis):
            clause, end = f"{clause.rstrip()} {held[1]}", held.end()
        items, form = _read_spaced(clause), " "
    return Piece(at, end, items, form) if items else None


def piece_at(text: str, at: int) -> Piece | None:
    """The piece that starts exactly at `at`, bracketed or bare."""
    if at >= len(text):
        return None
    twice = re.compile(r"\(\s*(?=[(\[])").match(text, at)
    end = _closing(text, at) if twice else None
    inner = bracket_at(text, twice.end()) if twice else None
    if end is not None and inner is not None and not text[inner.end : end].strip(" ,"):  # torch.Size([B, D])
        return replace(inner, end=end + 1)
    return bracket_at(text, at) or bare_at(text, at) if text[at] in _OPEN else bare_at(text, at)
