"""Sums of products: which axis they run over, and whether a norm was made for that sum."""

from __future__ import annotations

from shapecheck.analysis.axes import back, place
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import ancestors
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Lit, Made, Num, Tensor
from shapecheck.ops.kinds import AVERAGES, MATMUL, SUMS, UNIT


def unit(made: Made) -> bool:
    """Is the length the Euclidean one, along a dim that the code writes? `p=1` makes weights of a row or column."""
    if made.kind & UNIT:
        return made.args.get("p") in (2, 2.0, Num(2), Lit(2.0)) and isinstance(made.args.get("dim"), Num)
    return made.key == "div"


def summed_over(made: Made, at: int, facts: Facts) -> bool:
    """Does a product on any way through the code sum what was normalised over the axis of the norm?"""
    for fact in facts.of(Called):
        for operand, axis, rank in summed(fact):
            found = back(operand, axis, rank)
            source = found.tensor.made if found is not None and found.axis == at else None
            if source is not None and source.site.node is made.site.node:
                return True
    return False


def used_otherwise(result: Tensor, facts: Facts) -> bool:
    """Does later code sum over axis 0, so that the norm over it is meant, or over another, which is told there?"""
    made = result.made
    for fact in facts.of(Called):
        x = fact.args.get("input")
        if not isinstance(x, Tensor):
            continue
        if fact.key == "nll_loss" and x.made is made:
            return True
        for operand, axis, rank in summed(fact):
            found = back(operand, axis, rank)
            if found is not None and found.tensor.made is made:
                return True
        if (fact.kind & (SUMS | AVERAGES) or fact.key == "einsum") and any(t.made is made for t in (x, *ancestors(x))):
            dim = fact.args.get("dim")
            if isinstance(dim, Num) and dim.size == 0:
                return True
    return made is None


def summed(fact: Called) -> list[tuple[Tensor, int, int | None]]:
    """The operands of a sum of products, each with the axis that is summed over, and the rank that the op demands."""
    if fact.kind & MATMUL:
        left, right = fact.tensor("input"), fact.tensor("other")
        if left is not None and right is not None:
            rank = None if fact.key == "matmul" else 3 if fact.key == "bmm" else 2
            ranks = left.rank or rank, right.rank or rank
            if ranks[0] and ranks[1]:
                return [(left, ranks[0] - 1, ranks[0]), (right, max(ranks[1] - 2, 0), ranks[1])]
    told = equation(fact)
    if told is not None:
        return [
            (tensor, letters.index(letter), len(letters))
            for letters, tensor in zip(told.inputs, told.operands)
            for letter in letters
            if tensor is not None and letter not in told.output and letters.count(letter) == 1
            if all(letter in other for other in told.inputs)
        ]
    if fact.kind & SUMS:
        product, dim = fact.args.get("input"), fact.args.get("dim")
        if not isinstance(product, Tensor) or product.made is None or product.made.key != "mul" or product.rank is None:
            return []
        at = dim.size if isinstance(dim, Num) else None
        if not isinstance(at, int):
            return []
        at = place(at, product.rank)
        given = [v for v in product.made.args.values() if isinstance(v, Tensor)]
        return [(t, at - (product.rank - t.rank), t.rank) for t in given if t.rank]
    return []


__all__ = ["summed", "summed_over", "unit", "used_otherwise"]
