"""Shapes beside the names of parameters, wherever they stand: `q [B, D], p [B, G, D]`, `a, b: (N, D); gold: (N,)`.

The names are known, so no section and no field list is needed: a shape right after a parameter's name is its shape. A
list of names shares one shape only where the list begins its clause ("multiplies q and p [B, D]" says it of p alone).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from shapecheck.intent.comments import written
from shapecheck.intent.likely import likely
from shapecheck.intent.pieces import Piece, bracket_at
from shapecheck.intent.written import RETURN, Written

__all__ = ["from_phrases"]

_NAME = r"[`*]{0,2}[A-Za-z_]\w*[`*]{0,2}"
_AND = r"\s*(?:,\s*and\b|,|/|&|\band\b)\s*"
_LINK = (
    r"(?:\.shape)?\s*(?::|=|~)?\s*(?:\b(?:is|are|has|have|with|of)\b\s*)?(?:(?:an?|the)\s+)?"
    r"(?:\b(?:of\s+)?shapes?\b|\bTensors?\b)?\s*[:=]?\s*"
)
_RUN = re.compile(rf"(?<![\w.`*])(?P<names>{_NAME}(?:{_AND}{_NAME})*)(?P<link>{_LINK})(?=[\[(])")
_BEGINS = re.compile(r"(?:\A|[\n;:.)\]])[\s\-*•,#]*(?:\band\b\s*)?\Z")
_RESULT = re.compile(r"(?:->|=>|→)\s*(?=[\[(])")
_OPEN_END = re.compile(r"[`'\"\s,;.]*(?:(?:or|if|when|otherwise|else|depending|unless)\b|\||/)", re.IGNORECASE)
_BECOMES = re.compile(
    r"\b(?:convert|turn|expand|reshape|transform|broadcast|map|cast|project|flatten|pad|repeat)\w*\b[^.;\n]*"
    r"\b(?:in)?to\b[^.;\n]*\Z",
    re.IGNORECASE,
)
_MANY = re.compile(
    r"\b(?:lists?|tuples?|dicts?|sequences?|pairs?|either|each|every|index|indices|range|in)\s+(?:of\s+)?\Z",
    re.IGNORECASE,
)


def from_phrases(text: str, names: Collection[str]) -> dict[str, Written]:
    """The shapes that `text` gives to `names`, and to the result (`-> [B, G]` after them). `column` counts in `text`.

    A name that is given two shapes has none.
    """
    found: dict[str, Written | None] = {}
    end = 0
    for subjects, piece in _told(text, names):
        end = piece.end
        for subject in subjects:
            record = written(subject, piece, text, True)
            before = found.get(subject, record)
            found[subject] = (
                before if before is not None and record is not None and before.axes == record.axes else None
            )
    arrow = _RESULT.search(text, end) if end else None
    if arrow is not None and not text[end : arrow.start()].strip(" .,;"):
        result = _piece(text, arrow.end())
        if result is not None:
            found[RETURN] = written(RETURN, result, text, True)
    return {name: record for name, record in found.items() if record is not None}


def _told(text: str, names: Collection[str]) -> Iterator[tuple[list[str], Piece]]:
    for match in _RUN.finditer(text):
        subjects = re.findall(r"[A-Za-z_]\w*", re.sub(r"\band\b", ",", match["names"]))
        if not match["link"] and text[match.end()] == "[":  # `x[B, D]` may be an element of x
            continue
        if not subjects or subjects[-1] not in names:  # most are of something else: the text before is not looked at
            continue
        if _BEGINS.search(text[: match.start()]) is None:
            subjects = subjects[-1:]
        if not all(subject in names for subject in subjects):
            continue
        if _BECOMES.search(text[: match.start()]):
            continue
        piece = _piece(text, match.end())
        if piece is not None and not _MANY.search(text[: match.start()]):
            yield subjects, piece


def _piece(text: str, at: int) -> Piece | None:
    """The shape at `at`, when nothing after it takes it back."""
    piece = bracket_at(text, at)
    if piece is None or not any(item.names for item in piece.items):
        return None
    if _OPEN_END.match(text, piece.end) or not likely(piece, trusted=len(piece.items) > 1):
        return None
    return piece
