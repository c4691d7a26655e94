"""Is a piece of text that has the form of a shape meant as one?"""

from __future__ import annotations

import re

from shapecheck.intent.axis import short
from shapecheck.intent.pieces import Piece
from shapecheck.intent.vocabulary import BATCH, CONTENT, NUMERIC, PLAIN, SPATIAL, SURE, WRONG

__all__ = ["likely"]

_COLOURS = ({"R", "G", "B"}, {"q", "k", "v"}, {"Q", "K", "V"}, {"k", "v"}, {"K", "V"})


def likely(piece: Piece, trusted: bool) -> bool | None:
    """Is the piece a shape? True: surely; False: perhaps; None: no. `trusted`: a word such as "shape" led to it."""
    scores = [item.score for item in piece.items if item.names]
    names = {name for item in piece.items for name in item.names}
    if WRONG in scores or names in _COLOURS or (not trusted and _ends(piece)):
        return None
    if piece.trailing_comma and len(piece.items) > 1:  # `(bsz, tgt_len, )`: more was to come
        return False
    if not scores:
        return _numbers(piece, trusted)
    if any(item.axis == "0" for item in piece.items):  # an interval
        return None
    if _product(piece):
        return False
    if trusted and piece.form != " ":
        return True if max(scores) > CONTENT else None
    best, known = max(scores), sum(s >= PLAIN for s in scores)
    if piece.form in ("(", "[") and len(piece.items) == 1 and piece.items[0].axis != "...":
        return _single(piece, best)
    match piece.form:
        case " ":
            return _spaced(piece)
        case ",":
            if known < len(scores) or (best < SURE and not (len(scores) > 2 and all(len(n) == 1 for n in names))):
                return None
    if len(piece.items) < 2 or known == 0:
        return None
    if names <= SPATIAL or (names == {"H", "W"} and len(piece.items) == 2):
        return False
    if piece.form in ("(", "[") and min(scores) > CONTENT and BATCH.intersection(piece.items[0].names):
        return True
    unknown = len(scores) - known
    if best == SURE:
        return unknown <= known
    return True if unknown == 0 and all(n.islower() for n in names) else None if unknown else False


def _product(piece: Piece) -> bool:
    """`[users * items]`: a flat axis, or a matrix with a star for "by"."""
    if len(piece.items) != 1 or piece.trailing_comma or piece.form not in ("(", "["):
        return False
    item = piece.items[0]
    return "*" in item.axis and len(set(item.names)) > 1 and all(len(name) > 2 for name in item.names)


def _numbers(piece: Piece, trusted: bool) -> bool | None:
    sizes = [item.axis for item in piece.items]
    if "0" in sizes and not trusted:
        return None
    if ("_" in sizes and not trusted) or all(size == "..." for size in sizes):
        return None
    if len(sizes) == 1 and not piece.trailing_comma and piece.form == "(":  # "(1) first"
        return None
    if trusted:
        return True
    return False if piece.form in ("(", "[") and len(sizes) > 1 else None


_ENDS = frozenset({"min max", "start end", "left right", "low high", "first last", "top bottom", "lower upper"})


def _ends(piece: Piece) -> bool:
    """`[min_std, max_std]`: the two ends of something, not two axes."""
    if len(piece.items) != 2 or not all(item.names for item in piece.items):
        return False
    (first, *stem), (last, *other) = (item.names[0].split("_") for item in piece.items)
    return stem == other and f"{first} {last}" in _ENDS


_COUNTED = BATCH | {"rows", "tokens", "samples", "queries"}  # of a vector: `[batch]`, `[n]`
_RANK = re.compile(r"\d[*-][dD]\Z")  # "2D", "3-D"


def _single(piece: Piece, best: int) -> bool | None:
    item = piece.items[0]
    if piece.form == "[" and item.axis in _COUNTED:
        return True
    if best < PLAIN or _RANK.match(item.axis):
        return None
    if piece.trailing_comma:
        return True
    if best < SURE:
        return None
    if item.axis not in item.names:  # an expression: `(2*N)`
        return piece.form == "[" or not item.axis[0].isidentifier()
    return piece.form == "["


def _spaced(piece: Piece) -> bool | None:
    """`B B*G` of capitals, `b n d` of letters that begin with a batch."""
    names = [name for item in piece.items for name in item.names]
    if not all(item.score in (SURE, PLAIN, NUMERIC) and short(item) for item in piece.items):
        return None
    if all(name[0].isupper() for name in names):
        if len(piece.items) == 1:
            return False if piece.items[0].score == SURE and not _RANK.match(piece.items[0].axis) else None
        return max(item.score for item in piece.items) == SURE
    if len(piece.items) < 2 or not all(name.islower() for name in names) or names[0] not in BATCH:
        return None
    return True
