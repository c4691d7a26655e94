"""Ranks that follow from each other: the operands' from what is learned of a result, and the other way round.

Only what torch needs is told: `x.sum(1)` has one axis less than x, whatever x is; of `a * b` the rank is known when one
operand has fewer axes than the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from shapecheck.engine.values import Items, Lit, Made, Many, Num, Partial, SliceVal, Tensor, Value
from shapecheck.ops.axes import is_number
from shapecheck.ops.kinds import (
    ALL_PAIRS,
    BINARY,
    JOINS,
    MASKS,
    RANK_DOWN,
    RANK_KEPT,
    RANK_UP,
    REDUCTION,
    ROW_BY_ROW,
    STACKS,
    SUBSCRIPT,
)

Rank = Callable[[Tensor], "int | None"]


def operands_learn(made: Made, rank: int, known: Rank) -> Iterator[tuple[Tensor, int]]:
    """What a result of this rank tells of the operands."""
    along = _along(made)
    if along is not None:
        operand, more = along
        if rank - more >= 0:
            yield operand, rank - more
            yield from ((other, rank - more) for other in _beside(made))
        return
    pair = _pair(made)
    if pair is None:
        return
    if made.key == "matmul":
        for one, other in (pair, pair[::-1]):
            if known(other) == 2 or (known(other) == 1 and rank > 0):
                yield one, rank + (known(other) == 1)
        return
    widest = rank + _shared(made)
    for one, other in (pair, pair[::-1]):
        least = known(other)
        if _made_of(other, one) or (least is not None and least < widest):
            yield one, widest


def follows(made: Made, known: Rank) -> int | None:
    """The rank of the result, where those of the operands tell."""
    along = _along(made)
    if along is not None:
        rank = known(along[0])
        return None if rank is None or rank + along[1] < 0 else rank + along[1]
    pair = _pair(made)
    if pair is None:
        return None
    for one, other in (pair, pair[::-1]):
        if made.key != "matmul" and _made_of(other, one):
            rank = known(one)
            return None if rank is None else rank - _shared(made)
    a, b = known(pair[0]), known(pair[1])
    if a is None or b is None or (made.key == "matmul" and min(a, b) == 0):
        return None
    if made.key == "matmul":
        return max(a, b) if min(a, b) > 1 else max(a, b) - (2 if a == b == 1 else 1)
    return max(a, b) - _shared(made)


def _shared(made: Made) -> int:
    """How many axes fewer than its operands the result has: those along which rows are compared."""
    return int(bool(made.kind & ROW_BY_ROW and not made.keeps_dim()))


_ASKED = RANK_KEPT | RANK_UP | RANK_DOWN | REDUCTION | BINARY | MASKS | ROW_BY_ROW | SUBSCRIPT | ALL_PAIRS
_READ = ("input", "other", "dim", "keepdim", "index")


def looked_at(made: Made) -> tuple[Any, ...]:
    """All of its arguments that the answers above depend on."""
    return tuple(made.arg(role) for role in _READ) if made.kind & _ASKED else ()


def _along(made: Made) -> tuple[Tensor, int] | None:
    """The one operand whose rank decides the result's, and how many more axes the result has."""
    kind = made.kind
    if kind & BINARY:
        a, b = made.arg("input"), made.arg("other")
        for one, other in ((a, b), (b, a)):
            if isinstance(one, Tensor) and is_number(other):
                return one, 0
        return None
    operand = _first(made)
    if operand is None:
        return None
    if kind & RANK_KEPT:
        return operand, 0
    if kind & (RANK_UP | RANK_DOWN):
        return operand, 1 if kind & RANK_UP else -1
    if kind & SUBSCRIPT:
        more = _indexed(made.arg("index"))
        return None if more is None else (operand, more)
    if kind & REDUCTION:
        dims, keep = _dims(made.arg("dim")), made.keeps_dim()
        return None if dims is None or keep is None else (operand, 0 if keep else -dims)
    return None


def _made_of(part: Tensor, whole: Tensor) -> bool:
    """`x.norm(dim=-1)` beside x, `x[None]` beside `x[:, None]`: has the part no more axes than the whole, whatever the
    rank of what both were made of?"""
    theirs = dict(_chain(whole))
    return any(more <= theirs[key] for key, more in _chain(part) if key in theirs)


def _chain(tensor: Tensor) -> Iterator[tuple[str, int]]:
    """The unknown shapes that this one follows from, each with how many more axes this one has."""
    more = 0
    for _ in range(8):
        if isinstance(tensor.shape, Partial) and tensor.shape.key is not None:
            yield tensor.shape.key, more
        along = None if tensor.made is None else _along(tensor.made)
        if along is None:
            return
        tensor, more = along[0], more + along[1]


def _first(made: Made) -> Tensor | None:
    value = made.arg("input")
    match value:
        case Many(item=member):
            value = member
        case Items(items=(first, *_)):
            value = first
        case (first, *_):
            value = first
    return value if isinstance(value, Tensor) else None


def _beside(made: Made) -> list[Tensor]:
    """The others of the tensors that are joined: all of one rank."""
    match made.arg("input"):
        case Items(items=(_, *rest)) | (_, *rest) if made.kind & (JOINS | STACKS):
            return [t for t in rest if isinstance(t, Tensor)]
    return []


def _pair(made: Made) -> tuple[Tensor, Tensor] | None:
    if not (made.kind & (BINARY | ROW_BY_ROW) or made.key in ("matmul", "masked_fill")):
        return None
    a, b = made.tensor("input"), made.tensor("other") or made.tensor("index")
    return (a, b) if a is not None and b is not None else None


def _dims(value: Any) -> int | None:
    """How many axes `dim=` names; None for all of them, or where that is not known."""
    match value:
        case bool():
            return None
        case int() | Num(size=int()):
            return 1
        case Items(items=items) if items and all(isinstance(i, Num) and isinstance(i.size, int) for i in items):
            return len(items)
        case _:
            return None


def _indexed(index: Value | None) -> int | None:
    """How many more axes a basic index leaves: `x[:, None]` one more, `x[0]` one less."""
    if index is None:
        return None
    more = 0
    for item in index.items if isinstance(index, Items) else (index,):
        match item:
            case Lit(value=None):
                more += 1
            case Num():
                more -= 1
            case SliceVal() | Lit(value=slice()):
                pass
            case Lit(value=v) if v is ...:
                pass
            case _:
                return None
    return more


__all__ = ["follows", "looked_at", "operands_learn"]
