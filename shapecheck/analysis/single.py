"""Axes of size 1 along which code compares: of one number, a share is 1, the largest is number 0, the length is itself.

It knows the size from layers, weights, `unsqueeze` and `keepdim`, whatever the rank is, and looks through masks, whose
shape says nothing of the scores. It does not speak of the one key of an attention (a product of two activations), nor
of an axis that is longer on another way to the same line.
"""

from __future__ import annotations

from shapecheck.analysis.origin import operands
from shapecheck.dims import symbols
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Axis, Partial, Tensor
from shapecheck.ops.kinds import (
    ALL_PAIRS,
    ARITHMETIC,
    CAST,
    CHAINS,
    CLASS_LOSS,
    CREATES,
    DROPS,
    LEARNED,
    LOGARITHMIC,
    MASKS,
    MATMUL,
    PICKS,
    SOFTMAX,
    UNARY,
    UNIT,
)

COMPARING = SOFTMAX | PICKS | CLASS_LOSS | UNIT
_OF_ONE = (
    (LOGARITHMIC, "log_softmax", "every result is 0"),
    (SOFTMAX, "softmax", "every weight is 1"),
    (PICKS, "argmax", "every answer is 0"),
    (UNIT, "normalize", "only the sign of each number is left"),
    (CLASS_LOSS, "cross-entropy", "the one class always has probability 1"),
)
_SAME_PLACE = CAST | UNARY | MASKS | DROPS | ARITHMETIC


def compared_along(fact: Called) -> int | None:
    """The dim along which the call compares numbers; None where it is not known, or the call does something else."""
    if fact.kind & CLASS_LOSS:
        x, target = fact.tensor("input"), fact.tensor("target")
        if x is None or (x.rank is None and (target is None or target.rank != 1)):
            return None
        if target is not None and (target.dtype == "float" or (target.rank is not None and target.rank == x.rank)):
            return None  # as probabilities, where a single class is a weight
        return 1 if x.rank != 1 else None
    if fact.key == "topk" or not fact.kind & COMPARING:
        return None
    return fact.dim()


def outcome(fact: Called) -> tuple[str, str]:
    """What the call is, and what it gives of one number."""
    return next((what, gives) for kind, what, gives in _OF_ONE if fact.kind & kind)


def alone(fact: Called, facts: Facts) -> Tensor | None:
    """The operand whose axis that the call compares along has size 1 on every way through the code that knows it."""
    x, dim = fact.tensor("input"), compared_along(fact)
    if x is None or dim is None or not _is_one(x, dim) or _one_key(x, dim):
        return None
    for other in facts.of(Called):
        if other.site.node is fact.site.node and other is not fact:
            found = other.tensor("input")
            axis = _axis(found, dim) if found is not None else None
            if axis is not None and axis.size != 1 and found is not None and not _is_one(found, dim):
                return None
    return x


def _is_one(x: Tensor, dim: int) -> bool:
    """Behind a mask of unknown shape stand the scores as they were."""
    for _ in range(10):
        axis = _axis(x, dim)
        if axis is not None and axis.size == 1:
            return True
        if x.made is None or not x.made.kind & MASKS:
            return False
        before = x.made.tensor("input")
        if before is None or (dim >= 0 and before.rank != x.rank):
            return False
        x = before
    return False


def _axis(x: Tensor, dim: int) -> Axis | None:
    """The axis that a dim names, where the rank leaves no doubt of it."""
    if isinstance(x.shape, Partial):
        side = x.shape.tail if dim < 0 else x.shape.head
        at = dim + len(side) if dim < 0 else dim
    else:
        side, at = x.shape, dim + len(x.shape) if dim < 0 else dim
    return side[at] if 0 <= at < len(side) else None


def _one_key(x: Tensor, dim: int) -> bool:
    """Attention over one key: a product of two activations, whose length is the caller's."""
    for _ in range(30):
        made = x.made
        if made is None:
            return True  # a tensor as it came in: nothing here says that the axis holds scores
        if made.kind & (LEARNED | CHAINS):
            return False
        if made.kind & ALL_PAIRS or made.kind & MATMUL:
            right = operands(made)[-1]
            return not _weight(right)
        inner = [t for t in operands(made) if t.rank != 0]
        if not made.kind & _SAME_PLACE or not inner:
            return bool(made.kind & CREATES)
        ones = [t for t in inner if _is_one(t, dim)]
        if not ones:
            return True
        x = ones[0]
    return True


def _weight(x: Tensor) -> bool:
    """Was it made by a constructor, turned or not, so that its sizes are the code's?"""
    while x.made is not None and not x.made.kind & CREATES:
        inner = operands(x.made)
        if len(inner) != 1:
            return False
        x = inner[0]
    names = [n for a in x.axes or () for n in symbols(a.size)]
    return x.made is not None or (x.axes is not None and all(n.startswith("$") for n in names))


__all__ = ["COMPARING", "alone", "compared_along", "outcome"]
