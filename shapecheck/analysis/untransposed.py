"""Which axes of its operands a product sums, and what tells that one of the two should have been turned round.

Three things tell: both were brought to length 1, and only one of them along the axis that is summed; the summed axis
of the one is as long as the other axis of the other; or names say that features of the one meet rows of the other. An
operand is followed back, its axis counted from the end, through what keeps its last two axes: scalings, casts, gathers,
joins and slices of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from shapecheck.analysis.axes import normal_dim
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import ancestors, operands
from shapecheck.analysis.summed import unit
from shapecheck.dims import as_symbol, compare
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Axis, Items, Made, Partial, SliceVal, Tensor
from shapecheck.ops.kinds import (
    CAST,
    DIAGONAL,
    DISTANCE,
    DROPS,
    GATHERS_RANKS,
    JOINS,
    LEARNED,
    LINALG,
    MATMUL,
    PRODUCT,
    SCALES,
    SETS_DIAGONAL,
    SQUARE,
    STACKS,
    SUBSCRIPT,
    SWAPS,
)

_FEATURES, _ROWS = "D", "batch"


@dataclass(frozen=True, slots=True)
class Side:
    """An operand of a product, and the axis of it that is summed, counted from the end."""

    tensor: Tensor
    axis: int
    rank: int | None  # that the product demands; None: any


def sides(fact: Called) -> tuple[Side, Side] | None:
    """The two operands of a sum of products over one axis of each."""
    told = equation(fact)
    if told is not None:
        match told.inputs, told.operands:
            case (str(a), str(b)), (Tensor() as left, Tensor() as right):
                shared = [c for c in a if c in b and c not in told.output]
                if len(shared) == 1 and a.count(shared[0]) == b.count(shared[0]) == 1:
                    at, to = a.index(shared[0]), b.index(shared[0])
                    return Side(left, at - len(a), len(a)), Side(right, to - len(b), len(b))
        return None
    given = operands(fact)
    if not fact.kind & MATMUL or len(given) != 2 or any(t.rank is not None and t.rank < 2 for t in given):
        return None
    rank = {"mm": 2, "bmm": 3}.get(fact.key)
    return Side(given[0], -1, given[0].rank or rank), Side(given[1], -2, given[1].rank or rank)


@dataclass(frozen=True, slots=True)
class Length:
    """What brought vectors to length 1, and whether it ran along the axis that is summed later."""

    made: Made
    along: bool


def lengths(pair: tuple[Side, Side]) -> tuple[Length, Length] | None:
    """What gave each operand its length of 1; None where one has no such history."""
    left, right = map(length, pair)
    return None if left is None or right is None else (left, right)


def length(side: Side) -> Length | None:
    """What gave the vectors of this operand their length of 1."""
    return _length(side.tensor, side.axis, side.rank)


def _length(tensor: Tensor, axis: int, rank: int | None) -> Length | None:
    for _ in range(40):
        made = tensor.made
        rank = tensor.rank if tensor.rank is not None else rank
        if made is None:
            return None
        given = operands(made)
        dim = normal_dim(tensor)
        if dim is not None and unit(made):
            if dim >= 0:
                # of two axes where nothing tells: with three or more, `dim=1` is not the last axis of either operand
                dim -= rank or 2
            return Length(made, dim == axis)
        if not given:  # of something that is no tensor
            return None
        if made.kind & SWAPS:
            if not _last_two(made, rank) or axis not in (-1, -2):
                return None
            axis = -3 - axis
            tensor = given[0]
        elif made.kind & SCALES:
            found = [_length(t, axis, rank) for t in given if t.rank != 0]
            told = [f for f in found if f is not None]
            return told[0] if len(told) == 1 else None
        elif made.kind & STACKS and made.number("dim") == 0:
            rank = None if rank is None else rank - 1
            tensor = given[0]
        elif _keeps_rows(made, rank):
            tensor = given[0]
        else:
            return None
    return None


def _keeps_rows(made: Made, rank: int | None) -> bool:
    """Rows as they were, more of them or some of them."""
    if made.kind & (CAST | DROPS | GATHERS_RANKS):
        return True
    return bool(made.kind & JOINS and _along_rows(made, rank)) or bool(made.kind & SUBSCRIPT and _picks_rows(made))


def _last_two(made: Made, rank: int | None) -> bool:
    if made.key == "t":
        return True
    dims = made.number("dim0"), made.number("dim1")
    if dims == (None, None):
        return "dim0" not in made.args  # mT
    found = sorted(d - (rank or 2) if d >= 0 else d for d in dims if d is not None)
    return found == [-2, -1]


def _along_rows(made: Made, rank: int | None) -> bool:
    dim = made.number("dim")
    return dim == 0 or (dim is None and "dim" not in made.args) or (rank is not None and dim == -rank)


def _picks_rows(made: Made) -> bool:
    """`x[:n]`, `x[order]`: fewer rows, or others."""
    match made.args.get("index"):
        case Items(items=(SliceVal() | Tensor(shape=(_,)),)):
            return True
    return False


def ends_alike(pair: tuple[Side, Side]) -> tuple[Axis, Axis] | None:
    """The two axes that are summed with each other, where nothing says that they are of one size, and one of them is
    of the size of the other operand's other axis: `[B, n, d] @ [B, m, d]`."""
    left, right = (s.tensor.axes for s in pair)
    if left is None or right is None or {s.axis for s in pair} != {-1, -2} or min(len(left), len(right)) < 2:
        return None
    if any(_of_pairs(s.tensor) for s in pair):
        return None
    a, b = left[pair[0].axis], right[pair[1].axis]
    if compare(a.size, b.size).always or isinstance(a.size, int) or isinstance(b.size, int):
        return None
    beside = (a.size, right[-3 - pair[1].axis].size), (b.size, left[-3 - pair[0].axis].size)
    return (a, b) if any(own == other for own, other in beside) else None


def _of_pairs(tensor: Tensor) -> bool:
    """A matrix of all pairs, a diagonal one, or made of such: it may be square."""
    return any(
        t.made is not None and bool(t.made.kind & _SQUARES) and not t.made.kind & LEARNED for t in ancestors(tensor, 30)
    )


_SQUARES = PRODUCT | LINALG | SQUARE | DIAGONAL | SETS_DIAGONAL | DISTANCE


def named(pair: tuple[Side, Side], facts: Facts) -> bool:
    """By custom, does the one side give its features and the other its rows?"""
    axes = [_at(s) for s in pair]
    found = [None if axis is None or not _by_custom(axis) else _letter(axis, facts) for axis in axes]
    return sorted(filter(None, found)) == [_ROWS, _FEATURES] or sorted(filter(None, found)) == [_FEATURES, _ROWS]


def _at(side: Side) -> Axis | None:
    shape = side.tensor.shape
    axes = shape.tail if isinstance(shape, Partial) else shape
    return axes[side.axis] if len(axes) >= -side.axis else None


def _by_custom(axis: Axis) -> bool:
    return axis.origin is not None and axis.origin.assumption is not None and not axis.origin.assumption.source


def _letter(axis: Axis, facts: Facts) -> str:
    if axis.role == _ROWS:
        return _ROWS
    return _FEATURES if facts.hints.get(as_symbol(axis.size) or "") == _FEATURES else ""


__all__ = ["Length", "Side", "ends_alike", "length", "lengths", "named", "sides"]
