"""Which axis of which tensor an operand's axis is, and which of them a product binds to each other.

It follows a tensor back through what leaves every axis whole and in order (casts, functions of each number, scalings,
norms) and through swaps of two axes. It does not follow views, subscripts or joins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shapecheck.analysis.axes import place
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import operands
from shapecheck.engine.facts import Called
from shapecheck.engine.values import Made, Partial, Tensor
from shapecheck.ops.kinds import (
    CAST,
    DROPS,
    MASKS,
    MATMUL,
    MATRIX,
    PRODUCT,
    SCALES,
    SHIFTS,
    SOFTMAX,
    STANDARDISES,
    SWAPS,
    UNARY,
    UNIT,
)

_STAYS = CAST | UNARY | DROPS | MASKS | SCALES | SHIFTS | SOFTMAX | STANDARDISES | UNIT


@dataclass(frozen=True, slots=True)
class Source:
    """A tensor before anything turned it, and whether its last two axes have changed places since."""

    tensor: Tensor
    key: object
    turned: bool


def source(tensor: Tensor) -> Source | None:
    """None where the way back is lost: another tensor of its rank came in, or axes moved otherwise."""
    turned = False
    for _ in range(50):
        made = tensor.made
        if made is None or not made.kind & (_STAYS | SWAPS):
            break
        inner = [t for t in operands(made) if t.rank != 0]
        if made.kind & SWAPS:
            if not _last_two(made, tensor):
                return None
            turned = not turned
        if made.kind & (SCALES | SHIFTS | MASKS):
            inner = [t for t in inner if not _smaller(t, tensor)]
        if not made.kind & (SCALES | SHIFTS) or made.kind & MASKS:
            inner = inner[:1]
        if len(inner) != 1:
            break
        tensor = inner[0]
    if tensor.made is not None:
        return Source(tensor, id(tensor.made), turned)
    key: object = tensor.shape.key if isinstance(tensor.shape, Partial) else None
    if key is None and tensor.axes:
        key = tuple(map(id, tensor.axes))  # an argument of known rank keeps its axes
    return None if key is None else Source(tensor, key, turned)


def rows_of(source: Source) -> object:
    """What tells the rows: an argument is known by its axes, of which the others may be learned anew."""
    return source.key[0] if isinstance(source.key, tuple) else source.key


def _smaller(part: Tensor, whole: Tensor) -> bool:
    """Does the operand only stretch, as `x.norm(dim=1, keepdim=True)` does beside x?"""
    if part.axes is None:
        return False
    return any(axis.size == 1 for axis in part.axes) or (whole.rank is not None and len(part.axes) < whole.rank)


def _last_two(made: Made, tensor: Tensor) -> bool:
    if made.key == "t":
        return True
    dims = made.number("dim0"), made.number("dim1")
    if dims == (None, None):
        return "dim0" not in made.args  # mT
    if None in dims:
        return False
    if tensor.rank is None:
        return sorted(d for d in dims if d is not None) in ([-2, -1], [0, 1])
    return sorted(place(d, tensor.rank) for d in dims if d is not None) == [tensor.rank - 2, tensor.rank - 1]


@dataclass(frozen=True, slots=True)
class Square:
    """A product that binds the last two axes of one tensor to one size."""

    tensor: Tensor
    left: Tensor
    right: Tensor


def square_demand(fact: Called) -> Square | None:
    """The tensor whose last two axes this product of it with itself makes one: `x @ x`, `einsum("nc,cm->nm", x, x)`.

    A vector times itself is no such product, so the rank must be known to be 2 at least.
    """
    for left, right, crossed in _bound(fact):
        a, b = source(left), source(right)
        if a is None or b is None or a.key != b.key or (a.turned != b.turned) == crossed:
            continue
        if fact.kind & MATRIX or _least(left) >= 2 or _least(right) >= 2 or _least(a.tensor) >= 2:
            return Square(a.tensor, left, right)
    return None


def _bound(fact: Called) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """Two operands of which an axis of each is summed with the other's; True where they are the last of the one and
    the last but one of the other."""
    if not fact.kind & PRODUCT:
        return
    told = equation(fact)
    if told is not None:
        match told.inputs, told.operands:
            case (str(a), str(b)), (Tensor() as left, Tensor() as right) if len(a) == len(b) == 2:
                for letter in set(a) & set(b) - set(told.output):
                    yield left, right, a.index(letter) != b.index(letter)
        return
    given = operands(fact)
    if fact.kind & MATMUL and len(given) == 2:
        yield given[0], given[1], True


def _least(tensor: Tensor) -> int:
    return tensor.shape.min_rank if isinstance(tensor.shape, Partial) else len(tensor.shape)


__all__ = ["Source", "Square", "rows_of", "source", "square_demand"]
