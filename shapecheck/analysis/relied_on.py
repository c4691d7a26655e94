"""Whether anything that is computed relies on a shape that a comment has wrong, or the comment is merely stale.

What only moves, cuts, joins, stores or transforms the numbers one by one lives with either shape, as does an operand
that has the shape of the other one in full. What multiplies, reduces, stretches, judges or returns it doesn't, nor what
nothing is known of.
"""

from __future__ import annotations

from shapecheck.analysis.origin import NEUTRAL, operands
from shapecheck.engine.facts import Applied, Broadcasted, Called, Contract, Facts, Met, Returned
from shapecheck.engine.history import tensors_in
from shapecheck.engine.values import Items, Tensor
from shapecheck.ops.kinds import CLASS_LOSS, PRODUCT, RANKING_LOSS, REDUCTION, SOFTMAX, UNIT
from shapecheck.source.program import Bind

_RELIES = PRODUCT | REDUCTION | SOFTMAX | CLASS_LOSS | RANKING_LOSS | UNIT


def relied_on(fact: Contract, facts: Facts) -> bool:
    """Is the commented value used where its shape decides what comes out?"""
    if fact.declared.source != "comment" or not isinstance(fact.declared.site.node, Bind) or fact.value.made is None:
        return True  # what is written of a result or of a parameter is for others to rely on
    if _nearly(fact):
        return False
    return any(_relies(f, fact.value) for f in facts.items)


def _nearly(fact: Contract) -> bool:
    """`nb_neg` for `nb_neg + 1`: the one who wrote it counted without the positive."""
    written = None if fact.axis is None else fact.declared.sizes[fact.axis]
    if written is None or fact.have is None or isinstance(written, int):
        return False
    return isinstance(fact.have.size - written, int)


def _relies(fact: object, value: Tensor) -> bool:
    match fact:
        case Called(kind=kind, args=args) if kind & _RELIES:
            return any(_hands_on(t, value) for t in tensors_in(tuple(args.values())))
        case Broadcasted(operands=given):
            shapes = {len(t.axes) for t in given if t.axes is not None}
            stretched = bool(fact.stretched) or len(shapes) > 1
            return stretched and any(t.rank != 0 for t in given) and any(_hands_on(t, value) for t in given)
        case Met(operands=given) | Applied(args=given):
            return any(_hands_on(t, value) for t in tensors_in(given))
        case Returned(value=Tensor() | Items() as given):
            return any(_hands_on(t, value) for t in tensors_in(given))
    return False


def _hands_on(tensor: Tensor, value: Tensor) -> bool:
    """Is it the value itself, or that value scaled, cast or transposed?"""
    for _ in range(50):
        made = tensor.made
        if made is None:
            return False
        if made is value.made:
            return True
        given = [t for t in operands(made) if t.rank is None or t.rank > 0]
        if not made.kind & NEUTRAL or len(given) != 1:
            return False
        tensor = given[0]
    return False


__all__ = ["relied_on"]
