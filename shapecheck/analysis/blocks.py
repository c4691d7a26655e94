"""What stands in the first column of a score matrix: whose rows are a row's candidates, block by block.

It follows scores back through casts, scalings, masks and joins to the products of all pairs that they are made of, and
says nothing of scores that were picked, moved or cut on the way: of those, what column 0 is can't be told.
"""

from __future__ import annotations

from dataclasses import dataclass

from shapecheck.analysis.axes import place
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import operands
from shapecheck.engine.values import Items, Tensor
from shapecheck.ops.kinds import ALL_PAIRS, CAST, DROPS, JOINS, LOGARITHMIC, MASKS, RESHAPES, SCALES, SHIFTS

_STAYS = CAST | DROPS | MASKS | SCALES | SHIFTS | LOGARITHMIC  # every score stays in its row and column


@dataclass(frozen=True, slots=True)
class Pairs:
    """A product `[rows, columns]` of each row of `left` with each of `right`."""

    product: Tensor
    left: Tensor
    right: Tensor


def first_blocks(scores: Tensor) -> tuple[Pairs, ...]:
    """The products whose column 0 is column 0 of these scores: one for each block of rows. Empty where the column of
    any row is something else, or not known."""
    for _ in range(50):
        made = scores.made
        if made is None:
            return ()
        found = all_pairs(scores)
        if found is not None:
            return (found,)
        if made.kind & JOINS:
            return _joined(scores)
        inputs = operands(made)
        if made.kind & RESHAPES:
            if not inputs or inputs[0].sizes != scores.sizes:
                return ()
        elif not made.kind & _STAYS:
            return ()
        full = [t for t in inputs if t.rank == scores.rank]
        if not full:
            return ()
        scores = full[0]
    return ()


def _joined(scores: Tensor) -> tuple[Pairs, ...]:
    made = scores.made
    parts = made.args.get("tensors") if made is not None else None
    if made is None or not isinstance(parts, Items) or scores.rank != 2:
        return ()
    members = [t for t in parts.items if isinstance(t, Tensor)]
    dim = made.dim()
    at = place(0 if dim is None else dim, 2)
    if len(members) != len(parts.items) or not members:
        return ()
    if at == 1:
        return first_blocks(members[0])
    found = [first_blocks(member) for member in members]
    return tuple(pairs for each in found for pairs in each) if all(found) else ()


def all_pairs(tensor: Tensor) -> Pairs | None:
    """The operands of a matrix product that pairs each row of the one with each row of the other; None for others."""
    made = tensor.made
    if made is None or tensor.rank != 2:
        return None
    told = equation(made)
    if told is not None:
        if len(told.inputs) != 2 or len(told.output) != 2 or None in told.operands:
            return None
        a, b = told.inputs
        row, column = told.output[0], told.output[1]
        left, right = told.operands
        if row in b and column in a:
            a, b, left, right = b, a, right, left
        if row not in a or row in b or column not in b or column in a or left is None or right is None:
            return None
        return Pairs(tensor, left, right)
    inputs = operands(made)
    if not made.kind & ALL_PAIRS or len(inputs) != 2 or any(t.rank != 2 for t in inputs):
        return None
    return Pairs(tensor, inputs[0], inputs[1])


__all__ = ["Pairs", "all_pairs", "first_blocks"]
