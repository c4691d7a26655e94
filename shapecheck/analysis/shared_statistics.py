"""Blocks of rows (views, modalities) that were standardised together and are then correlated with each other.

A cross-correlation of two blocks multiplies them along the rows. Both then have to be centred and scaled by themselves;
statistics over the joined rows leave the difference of the blocks in. Joins are `cat`, `stack` and what flattens it;
blocks come back by `chunk`, `split`, `unbind`, a subscript. Products along the features (similarities of rows) are no
correlations: nothing is said of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from shapecheck.analysis.letters import equation
from shapecheck.analysis.order import parts
from shapecheck.analysis.origin import identity, operands
from shapecheck.engine.facts import Applied, Called, Facts
from shapecheck.engine.values import Axis, Items, Joined, Made, Partial, Tensor, Unknown, as_int
from shapecheck.ops.kinds import (
    ADDS_AXIS,
    AVERAGES,
    CAST,
    DROPS_AXIS,
    MATMUL,
    RESHAPES,
    SCALES,
    SHIFTS,
    SPLITS,
    STANDARDISES,
    SUBSCRIPT,
    SWAPS,
)

_STAYS = CAST | RESHAPES | SUBSCRIPT | SPLITS | ADDS_AXIS | DROPS_AXIS | SWAPS


@dataclass(frozen=True, slots=True)
class Shared:
    """The call that took statistics over joined rows, and the tensor that it took them of."""

    made: Made
    x: Tensor
    over: str


def correlated(fact: Called, facts: Facts) -> Shared | None:
    """Does this product correlate, along the rows, two blocks that one call standardised?"""
    pair = _along_rows(fact)
    if pair is None:
        return None
    left, right = (_joint_mean(t, facts) for t in pair)
    if left is None or right is None:
        left, right = (_statistics(t, facts) for t in pair)
    if left is None or right is None or left.made is not right.made:
        return None
    return left if identity(pair[0]) != identity(pair[1]) else None


def _along_rows(fact: Called) -> tuple[Tensor, Tensor] | None:
    """The operands of `a.t() @ b`, before they were turned."""
    given = operands(fact)
    told = equation(fact)
    if told is not None:
        match told.inputs:
            case (str(a), str(b)) if len(a) == len(b) == 2 and len(given) == 2 and a[0] == b[0] not in told.output:
                return given[0], given[1]
        return None
    if not fact.kind & MATMUL or len(given) != 2:
        return None
    turned = given[0].made
    if turned is None or not turned.kind & SWAPS or (given[1].made is not None and given[1].made.kind & SWAPS):
        return None
    inner = operands(turned)
    return (inner[0], given[1]) if len(inner) == 1 else None


def _statistics(block: Tensor, facts: Facts) -> Shared | None:
    """What standardised the rows that this block was taken from."""
    cut = False
    for _ in range(30):
        made = block.made
        if made is None:
            return None
        found = _standardised(made, facts)
        if found is not None:
            x, over = found
            return Shared(made, x, over) if cut else None
        inner = [t for t in operands(made) if t.rank != 0]
        if made.kind & SUBSCRIPT:
            inner, cut = inner[:1], True
        cut = cut or bool(made.kind & SPLITS)
        if not made.kind & (_STAYS | SCALES) or not inner or (len(inner) > 1 and made.kind & SCALES):
            return None
        block = inner[0]
    return None


def _standardised(made: Made, facts: Facts) -> tuple[Tensor, str] | None:
    """The joined rows that this batch norm, or this `(x - x.mean(0)) / x.std(0)`, takes its statistics of."""
    if made.kind & STANDARDISES:
        x = made.tensor("input")
        return (x, _joined(x, facts)) if made.key == "batch_norm" and x is not None and _joined(x, facts) else None
    given = operands(made)
    if not made.kind & (SCALES | SHIFTS) or len(given) != 2:
        return None
    if made.kind & SCALES and made.key == "div":
        inner = given[0].made
        return _standardised(inner, facts) if inner is not None and inner.kind & SHIFTS else None
    x, mean = given
    if mean.made is None or not mean.made.kind & AVERAGES or identity(mean.made.arg("input")) != identity(x):
        return None
    dims = mean.made.arg("dim")
    if isinstance(dims, Items):
        both = [as_int(d) for d in dims.items] == [0, 1] and x.rank == 3
        return (x, "axes 0 and 1") if both and x.axes and x.axes[0].role == "block" else None
    return (x, _joined(x, facts)) if as_int(dims) == 0 and _joined(x, facts) else None


def _joint_mean(block: Tensor, facts: Facts) -> Shared | None:
    """The mean of joined rows that was taken away from this block alone: `(a - z.mean(0)) / z.std(0)`."""
    for _ in range(6):
        made = block.made
        given = operands(made) if made is not None else []
        if made is None or not made.kind & (CAST | SCALES | SHIFTS) or not given:
            return None
        if made.kind & SHIFTS and len(given) == 2:
            mean = given[1].made
            x = mean.tensor("input") if mean is not None and mean.kind & AVERAGES and mean.dim() == 0 else None
            over = _joined(x, facts) if x is not None and identity(x) != identity(given[0]) else ""
            return Shared(mean, x, over) if mean is not None and x is not None and over else None
        block = given[0]
    return None


def _joined(x: Tensor, facts: Facts) -> str:
    """In words, the blocks that lie one after the other along axis 0; "" where there are none."""
    axes = x.shape.head if isinstance(x.shape, Partial) else x.shape
    first: Axis | None = axes[0] if axes else None
    if first is None:
        key = x.shape.key if isinstance(x.shape, Partial) else None
        given = [f.args[0] for f in facts.of(Applied) if key is not None and _gives(f, key) and f.args]
        return next((_joined(t, facts) for t in given if isinstance(t, Tensor) and t is not x), "")
    if isinstance(first.layout, Joined) and len(first.layout.parts) > 1:
        return "axis 0"
    flat = parts(first)
    return "axis 0" if len(flat) > 1 and flat[0].role == "block" else ""


def _gives(fact: Applied, key: str) -> bool:
    """A network gives its rows in the order in which it was given them."""
    return isinstance(fact.result, Unknown) and fact.result.key == key


__all__ = ["Shared", "correlated"]
