"""Scores of examples against candidates that a model keeps: centres, prototypes, proxies, codes.

The examples are rows that a network gave for what it was given (a forward's argument, the items of a loader), each for
itself. The candidates are a weight, a buffer, or what the constructor was handed. Of two sets of activations, or where
either side is not known, nothing is said.
"""

from __future__ import annotations

from shapecheck.analysis.batch import uses
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import operands
from shapecheck.dims import symbols
from shapecheck.engine.facts import Applied, Called, Facts
from shapecheck.engine.values import Made, Partial, Tensor, Unknown
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
    LINEAR,
    MASKS,
    MATMUL,
    REDUCTION,
    SCALES,
    STANDARDISES,
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
            return rows_of_batch(pair[0], facts) and _kept(pair[1])
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
        sides = [as_tensor(v) for v in made.args["operands"]]
        if len(sides) != 2 or len(told.output) != 2 or not any(told.output[0] in letters for letters in told.inputs):
            return None
        return (sides[0], sides[1]) if told.output[0] in told.inputs[0] else (sides[1], sides[0])
    if made.kind & MATMUL or (made.kind & DISTANCE and made.key == "cdist"):
        first = given[0] if given else made.args.get("input")
        if len(given) == 2 and isinstance(first, Tensor):
            return given[0], given[1]
    if made.kind & LINEAR and isinstance(weight := made.args.get("weight"), Tensor) and isinstance(given[0], Tensor):
        return given[0], weight
    return None


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
