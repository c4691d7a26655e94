"""Class losses over a score matrix: which column each row's label names, and what those columns are made of.

Rules about targets ask the same questions: is this a loss over `[rows, columns]`, what are the label's numbers, which
part of the column axis is the process rank. Nothing here has an opinion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shapecheck.analysis.origin import IN_PLACE_ORDER, operands
from shapecheck.dims import Size, TooComplex, exact_div, substitute, symbol, symbols
from shapecheck.engine.facts import Called
from shapecheck.engine.values import Affine, Axis, Merged, Tensor
from shapecheck.ops.kinds import BLENDS, CLASS_LOSS, LOGARITHMIC, MASKS, PRODUCT, ROW_BY_ROW

# between a product and its loss these leave every score in its row and column
IN_PLACE = IN_PLACE_ORDER | MASKS | BLENDS | LOGARITHMIC
_RANK = re.compile(r"(?:^|[.@_$])rank(?:_id)?(?:@\d+)?$")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A loss over classes with scores `[rows, columns]` and the known numbers of its labels (None: not known)."""

    scores: Tensor
    target: Tensor
    rows: Axis
    columns: Axis
    content: Affine | None


def labelled(fact: Called) -> Labelled | None:
    """The loss as rows, columns and labels; None for anything but scores `[N, C]` with labels `[N]`."""
    if not fact.kind & CLASS_LOSS:
        return None
    scores, target = fact.args.get("input"), fact.args.get("target")
    if not isinstance(scores, Tensor) or not isinstance(target, Tensor):
        return None
    if target.rank != 1 or not isinstance(scores.shape, tuple) or len(scores.shape) != 2:
        return None
    return Labelled(scores, target, scores.shape[0], scores.shape[1], target.content)


def product_behind(tensor: Tensor) -> Tensor | None:
    """The all-pairs product that these scores are, each still in its place; None where something was moved or added."""
    for _ in range(50):
        made = tensor.made
        if made is None:
            return None
        if made.kind & (PRODUCT | ROW_BY_ROW):
            return tensor
        inputs = operands(made)
        if made.key == "view":
            if not inputs or inputs[0].sizes != tensor.sizes:
                return None
        elif not made.kind & IN_PLACE:
            return None
        full = [t for t in inputs if t.rank == tensor.rank]
        if not full:
            return None
        tensor = full[0]
    return None


def factors(axis: Axis) -> tuple[Axis, ...]:
    """What a flat axis is made of, outermost first; an axis of no known make is its own only factor."""
    return axis.layout.factors if isinstance(axis.layout, Merged) else (axis,)


def grouped_by(loss: Labelled) -> bool:
    """Are the columns blocks, one for each row? Of numbers alone, `[4, 32]`, that could be chance."""
    parts = factors(loss.columns)
    return len(parts) > 1 and parts[0].size == loss.rows.size != 1


def rank_names(size: Size) -> frozenset[str]:
    """The symbols in a size that stand for this process's rank."""
    return frozenset(n for n in symbols(size) if n == "rank_plus_1" or (n[0] == "$" and _RANK.search(n)))


def rank_step(size: Size) -> Size | None:
    """How much a size grows from one rank to the next; 0 where no rank is in it, None where it isn't linear."""
    step: Size = 0
    try:
        for name in rank_names(size):
            rise = substitute(size, {name: symbol(name) + 1}) - size
            if rank_names(rise):
                return None
            step = step + rise
    except TooComplex:
        return None
    return step


def rank_stride(axis: Axis) -> Size | None:
    """How many places of this axis one rank takes up; None where no rank is in it."""
    parts = factors(axis)
    for i, part in enumerate(parts):
        if part.role == "rank":
            stride: Size = 1
            for inner in parts[i + 1 :]:
                stride = stride * inner.size
            return stride
    return None


def multiple(size: Size, of: Size) -> Size | None:
    """`size` as a whole multiple of `of`, or None."""
    try:
        return exact_div(size, of)
    except TooComplex:
        return None


__all__ = [
    "Labelled", "factors", "grouped_by", "labelled", "multiple", "product_behind", "rank_names", "rank_step",
    "rank_stride",
]  # fmt: skip
