"""Scores of examples against candidates that a model keeps: centres, prototypes, proxies, codes.

The examples are rows that a network gave for what it was given (a forward's argument, the items of a loader), each for
itself. The candidates are a weight, a buffer, or what the constructor was handed. Of two sets of activations, or where
either side is not known, nothing is said.
"""

from __future__ import annotations

import re

from shapecheck.analysis.batch import uses
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import operands
from shapecheck.dims import symbols
from shapecheck.engine.facts import Applied, Called, Facts
from shapecheck.engine.values import Items, Lit, Made, Partial, SliceVal, Tensor, Unknown
from shapecheck.ops.axes import as_tensor
from shapecheck.ops.kinds import (
    ARITHMETIC,
    AVERAGES,
    BOUNDS,
    CAST,
    CHAINS,
    CREATES,
    DISTANCE,
    DROPS,
    LENGTH,
    LINEAR,
    MASKS,
    MATMUL,
    REDUCTION,
    SCALES,
    SHIFTS,
    STANDARDISES,
    SUBSCRIPT,
    SUMS,
    SWAPS,
    UNARY,
    UNIT,
)

_SCORES = CAST | UNARY | DROPS | MASKS | ARITHMETIC | BOUNDS
_ROWS = CAST | UNARY | DROPS | UNIT | STANDARDISES | LINEAR | CHAINS


def examples_first(scores: Tensor, facts: Facts) -> bool:
    """Are these scores `[examples, candidates]`: rows of the batch against what the model keeps?"""
    for _ in range(20):
        made = scores.made
        if made is None:
            return False
        pair = _sides(made)
        if pair is not None:
            return rows_of_batch(pair[0], facts) and (_kept(pair[1]) or _beside_loop(*pair, facts))
        inner = [t for t in operands(made) if t.rank != 0]
        if not made.kind & _SCORES or len(inner) != 1:
            return False
        scores = inner[0]
    return False


def _sides(made: Made) -> tuple[Tensor, Tensor] | None:
    """The operands of a product of all pairs, that of the rows first."""
    given = operands(made)
    told = equation(made)
    if told is not None:
        sides = [as_tensor(v) for v in told.given]
        if len(sides) != 2 or len(told.output) != 2 or not any(told.output[0] in letters for letters in told.inputs):
            return None
        return (sides[0], sides[1]) if told.output[0] in told.inputs[0] else (sides[1], sides[0])
    if made.kind & MATMUL or (made.kind & DISTANCE and made.key == "cdist"):
        first = given[0] if given else made.args.get("input")
        if len(given) == 2 and isinstance(first, Tensor):
            return given[0], given[1]
    if made.kind & (SUMS | LENGTH) and given:
        return _apart(given[0])
    if made.kind & LINEAR and isinstance(weight := made.args.get("weight"), Tensor) and isinstance(given[0], Tensor):
        return given[0], weight
    return None


def _apart(x: Tensor) -> tuple[Tensor, Tensor] | None:
    """`x.unsqueeze(1) - c.unsqueeze(0)`, of which functions of each number were added up."""
    for _ in range(6):
        made = x.made
        inner = [t for t in operands(made) if t.rank != 0] if made is not None else []
        if made is None or not inner:
            return None
        if made.kind & SHIFTS and len(inner) == 2:
            left, right = (_axis_added(t) for t in inner)
            if left is None or right is None or left[1] == right[1]:
                return None
            return (left[0], right[0]) if left[1] else (right[0], left[0])
        if not made.kind & (UNARY | CAST | ARITHMETIC):
            return None
        x = inner[0]
    return None


def _axis_added(x: Tensor) -> tuple[Tensor, bool] | None:
    """A matrix that got an axis: in the middle, so that its rows stay in front (True), or in front of them."""
    made = x.made
    if made is None:
        return None
    if made.key == "unsqueeze" and made.dim() in (0, 1, -2):
        return as_tensor(made.arg("input")), made.dim() != 0
    index = made.args.get("index") if made.kind & SUBSCRIPT else None
    items = index.items if isinstance(index, Items) else () if index is None else (index,)
    if sum(i == Lit(None) for i in items) != 1 or not all(isinstance(i, SliceVal) or i == Lit(None) for i in items):
        return None
    return as_tensor(made.arg("input")), items.index(Lit(None)) == 1


def rows_of_batch(rows: Tensor, facts: Facts) -> bool:
    """Did a network give these rows, each for itself, for what came in?"""
    for _ in range(20):
        made = rows.made
        if made is None:
            key = rows.shape.key if isinstance(rows.shape, Partial) else None
            return key is not None and (key.startswith("forward.") or _encoded(key, facts))
        if not made.kind & _ROWS:
            return False
        rows = as_tensor(made.args.get("input"))
    return False


def _encoded(key: str, facts: Facts) -> bool:
    """What a network gives for something that came in: no weight of its own, no number."""
    return any(
        isinstance(f.result, Unknown)
        and f.result.key == key
        and any(isinstance(a, Tensor) or (isinstance(a, Unknown) and a.hint == "") for a in f.args[:1])
        for f in facts.of(Applied)
    )


def _kept(x: Tensor) -> bool:
    """A weight, turned or brought to length 1, or what the constructor was given."""
    for _ in range(20):
        made = x.made
        if made is None:
            key = x.shape.key if isinstance(x.shape, Partial) else None
            if key is not None:
                return key.startswith("__init__.")
            names = [n for a in x.axes or () for n in symbols(a.size)]
            return bool(names) and all(n.startswith("$") for n in names)
        if made.kind & CREATES:
            return True
        inner = operands(made)
        if not made.kind & (CAST | SWAPS | UNIT | UNARY) or len(inner) != 1:
            return False
        x = inner[0]
    return False


def _beside_loop(rows: Tensor, kept: Tensor, facts: Facts) -> bool:
    """An argument of the function, against rows that a network gives for the items of a loop."""
    given, inputs = leaf(kept), leaf(rows)
    if given is None or given.startswith(("?", "forward.")):
        return False
    return any(
        isinstance(f.result, Unknown) and f.result.key == inputs and _ITEM.match(_key_of(f.args[0])) is not None
        for f in facts.of(Applied)
        if f.args
    )


_ITEM = re.compile(r"\?\d+\[\d+\]")


def _key_of(value: object) -> str:
    key = value.key if isinstance(value, Unknown) else None
    if isinstance(value, Tensor) and isinstance(value.shape, Partial):
        key = value.shape.key
    return key or ""


def leaf(x: Tensor) -> str | None:
    """The unknown thing behind casts, norms and turns."""
    for _ in range(20):
        if x.made is None:
            return _key_of(x) or ("argument" if x.axes else None)
        if not x.made.kind & (CAST | SWAPS | UNIT | UNARY):
            return None
        x = as_tensor(x.made.arg("input"))
    return None


def weighs_rows(shares: Tensor, facts: Facts) -> bool:
    """Does later code take a weighted mean of the rows with them: `shares.t() @ x`, or a sum over axis 0 that stays?"""
    if shares.made is None:
        return True
    made = {id(shares.made)}
    for fact in facts.of(Called):
        given = [t for t in operands(fact) if t.made is not None and id(t.made) in made]
        if not given or not isinstance(fact.result, Tensor) or fact.result.made is None:
            continue
        if fact.kind & SUMS and fact.dim() == 0 and not _added_up(fact.result, facts):
            return True
        if fact.kind & MATMUL:
            if any(t.made is not None and t.made.kind & SWAPS for t in given):
                return True
        elif equation(fact) is not None:
            return True
        elif fact.kind & (_SCORES | SWAPS | SCALES):
            made.add(id(fact.result.made))
    return False


def _added_up(sums: Tensor, facts: Facts) -> bool:
    """Is all that is left added up too? Then no axis is told from the other."""
    taken = uses(facts, sums)
    return bool(taken) and all(
        use.kind & REDUCTION and use.kind & (SUMS | AVERAGES) and use.arg("dim") is None for use, _ in taken
    )


__all__ = ["examples_first", "rows_of_batch", "weighs_rows"]
