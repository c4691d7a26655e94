"""Results that carry one batch axis twice, and what else the code says of them.

A product of `[B, D]` and `[B, G, D]` gives `[B, B, G]`: both operands brought B, neither gave it up. Whether that is
meant, sizes can't say: how the operands came to be, what was written about the result and what becomes of it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shapecheck.analysis.letters import given_to
from shapecheck.analysis.origin import IN_PLACE_ORDER, NEUTRAL, base, operands
from shapecheck.dims import Size
from shapecheck.engine.facts import Broadcasted, Called, Contract, Facts
from shapecheck.engine.values import Axis, Items, Lit, Partial, Tensor
from shapecheck.ops.kinds import (
    ADDS_AXIS,
    ALL_PAIRS,
    AVERAGES,
    CLASS_LOSS,
    DIAGONAL,
    EXTREMES,
    FUSED,
    MASKS,
    NAMES_AXES,
    PICKS,
    PRODUCT,
    REPEATS,
    RESHAPES,
    SETS_DIAGONAL,
    SOFTMAX,
    SORTS,
    STRETCHES,
    SUBSCRIPT,
    SUMS,
    SWAPS,
    TRIANGLE,
)  # fmt: skip

# reductions through which a comment about the result still speaks of the crossing
_SUMMED = NEUTRAL | SUMS


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """`flat` and `grouped` (of one rank more) as the op got them; `batch` stands in `result` twice or more."""

    fact: Called
    flat: Tensor
    grouped: Tensor
    result: Tensor
    batch: Axis
    implicit: bool
    flat_first: bool


def product_crossing(fact: Called) -> Crossing | None:
    """The crossing of a product of two tensors of ranks r and r+1 whose leading axes are one batch."""
    pair = product_operands(fact)
    if pair is None or not isinstance(fact.result, Tensor):
        return None
    low, high = sorted(pair, key=lambda t: _rank(unmoved(t)))
    flat, grouped = unmoved(low), high
    rows, result = flat.axes, fact.result.axes
    if rows is None or grouped.axes is None or result is None:
        return None
    if len(rows) < 2 or len(grouped.axes) != len(rows) + 1:
        return None
    batch = grouped.axes[0]
    if batch.size == 1 or rows[0].size != batch.size:
        return None
    if any(a.size == batch.size for a in (*rows[1:], *grouped.axes[1:])):
        return None  # a square operand: which of its axes met is not clear
    if sum(a.size == batch.size for a in result) < 2 or result[0].size != batch.size:
        return None
    return Crossing(fact, low, grouped, fact.result, batch, bool(fact.kind & ALL_PAIRS), pair[0] is low)


def product_operands(fact: Called) -> tuple[Tensor, Tensor] | None:
    """The two tensors of a product; None for other ops."""
    if fact.key == "einsum":
        values = list(given_to(fact) or ())
    elif fact.kind & PRODUCT and not fact.kind & FUSED:
        values = [fact.arg("input"), fact.arg("other")]
    else:
        return None
    match values:
        case [Tensor() as left, Tensor() as right]:
            return left, right
        case _:
            return None


def unmoved(tensor: Tensor) -> Tensor:
    """The tensor before casts, scalings, transpositions, and an `expand` that put axes in front; its sizes as they are
    known now."""
    first = base(tensor, NEUTRAL | STRETCHES)
    if base(tensor, IN_PLACE_ORDER).made is first.made:
        return tensor
    if first.axes is None and tensor.axes is not None and len(tensor.axes) == 2:
        return tensor.with_(shape=tuple(reversed(tensor.axes)))
    if first.axes is None or tensor.axes is None or len(first.axes) != len(tensor.axes):
        return first
    left = list(tensor.axes)
    placed: list[Axis | None] = []
    for axis in first.axes:
        found = next((a for a in left if a.size == axis.size), None)
        if found is not None:
            left.remove(found)
        placed.append(found)
    return first.with_(shape=tuple(left.pop(0) if a is None else a for a in placed))


def _rank(tensor: Tensor) -> int:
    return -1 if tensor.rank is None else tensor.rank


# ------------------------------------------------------------ what else is known


def descends(tensor: Tensor, result: Tensor, through: int = NEUTRAL) -> bool:
    """Is this the result, but for casts and scalings?"""
    if result.made is None:
        return False
    for _ in range(50):
        if tensor.made is result.made:
            return True
        if tensor.made is None or not tensor.made.kind & through:
            return False
        inner = [t for t in operands(tensor.made) if t.rank is None or t.rank > 0]
        if len(inner) != 1:
            return False
        tensor = inner[0]
    return False


def uses(result: Tensor, facts: Facts) -> Iterator[tuple[Called, Tensor]]:
    """The calls that take the result, or a scaled form of it, and the argument as they got it."""
    for fact in facts.of(Called):
        for value in fact.args.values():
            for given in value if isinstance(value, tuple) else (value,):
                if isinstance(given, Tensor) and descends(given, result):
                    yield fact, given


def contradicted(result: Tensor, facts: Facts) -> Contract | None:
    """What was written of the result (or of its sum) and has another rank."""
    return next((c for c in _written(result, facts, _SUMMED) if c.verdict.never and c.axis is None), None)


def confirmed(result: Tensor, facts: Facts) -> bool:
    """Was the computed shape written down as it is?"""
    return any(not c.verdict.never and not c.declared.variadic for c in _written(result, facts, NEUTRAL))


def _written(result: Tensor, facts: Facts, through: int) -> Iterator[Contract]:
    return (c for c in facts.of(Contract) if descends(c.value, result, through))


def laundering(result: Tensor, facts: Facts) -> Called | None:
    """The call that hides the rank of the result: a view that merges axes, or a mean or sum of everything."""
    for fact, given in uses(result, facts):
        if launders(fact, given):
            return fact
    return None


def launders(fact: Called, given: Tensor) -> bool:
    """Does this call hide that `given` has an axis too many?"""
    if not isinstance(fact.result, Tensor) or fact.result.rank is None or given.rank is None:
        return False
    if fact.kind & RESHAPES:
        return 0 < fact.result.rank < given.rank
    return bool(fact.kind & (SUMS | AVERAGES)) and fact.result.rank == 0


def _of_pairs(fact: Called) -> bool:
    """Does the op speak of a matrix whose rows and columns are one thing?"""
    return bool(fact.kind & (DIAGONAL | SETS_DIAGONAL | TRIANGLE)) or fact.key == "einsum"


def pairs_on_purpose(crossing: Crossing, facts: Facts) -> bool:
    """All pairs are wanted: the diagonal is taken, or the best of each group is, or every pair meets a target."""
    for fact, given in uses(crossing.result, facts):
        if _of_pairs(fact):
            return True
        result = fact.result if isinstance(fact.result, Tensor) else _first(fact.result)
        left = None if result is None or given.rank is None else result.sizes
        if left is None or len(left) < 2 or list(left) != [crossing.batch.size] * len(left):
            continue
        if fact.kind & (EXTREMES | PICKS):
            return True
        if result is not None and any(
            f.kind & (CLASS_LOSS | SOFTMAX | DIAGONAL | SWAPS) for f, _ in uses(result, facts)
        ):
            return True
    return False


def _first(value: object) -> Tensor | None:
    items = getattr(value, "items", ())
    found = next(iter(items), None) if isinstance(items, tuple) else None
    if isinstance(found, tuple):
        found = found[1]
    return found if isinstance(found, Tensor) else None


# --------------------------------------------------------------- column and row


@dataclass(frozen=True, slots=True, eq=False)
class Outer:
    """An elementwise op crossed `column` ([B, 1]) with `row` ([B]): `batch` stands in the result twice."""

    fact: Broadcasted
    column: Tensor
    row: Tensor
    batch: Size


def outer(fact: Broadcasted) -> Outer | None:
    """Two operands, one of fewer axes, whose leading batch axes meet at different places of the result."""
    if len(fact.operands) != 2 or not fact.absent:
        return None
    row, column = sorted(fact.operands, key=_rank)
    if row.axes is None or column.axes is None or not row.axes:
        return None
    batch = row.axes[0].size
    offset = len(column.axes) - len(row.axes)
    if offset < 1 or isinstance(batch, int) or batch not in (column.axes[0].size, picked_from(column)):
        return None
    # where the row's batch axis lies, the column has the 1 that is stretched
    return Outer(fact, column, row, batch) if column.axes[offset].size == 1 else None


def picked_from(column: Tensor) -> Size | None:
    """The rows of the tensor that `gather` picked from: torch lets an index have fewer, code has as many."""
    made = base(column, IN_PLACE_ORDER).made
    source = None if made is None or made.key != "gather" else made.args.get("input")
    return source.axes[0].size if isinstance(source, Tensor) and source.axes else None


def called_by(fact: Broadcasted, facts: Facts) -> Called | None:
    """The op whose operands met."""
    at = next((i for i, f in enumerate(facts.items) if f is fact), len(facts.items))
    for f in facts.items[at:]:
        if isinstance(f, Called) and f.site.node is fact.site.node and f.activation == fact.activation:
            return f
    return None


def column_on_purpose(column: Tensor) -> bool:
    """Was the column's axis of size 1 asked for where it was made: `x.unsqueeze(1)`, `x[:, None]`, `x.view(-1, 1)`?"""
    made = base(column, IN_PLACE_ORDER).made
    if made is None or not made.kind & (ADDS_AXIS | SUBSCRIPT | RESHAPES | NAMES_AXES):
        return False
    source = next(iter(operands(made)), None)
    if made.kind & SUBSCRIPT:
        return Lit(None) in _flat(made.args.get("index"))
    if made.kind & RESHAPES:
        return source is None or source.sizes is None or 1 not in source.sizes[1:]
    return True


def _flat(value: object) -> tuple[object, ...]:
    return value.items if isinstance(value, Items) else value if isinstance(value, tuple) else (value,)


def needless_column(column: Tensor) -> Tensor | None:
    """`x.unsqueeze(1)` of a tensor that was a column already: `[B, 1]` that became `[B, 1, 1]`."""
    made = base(column, IN_PLACE_ORDER).made
    if made is not None and made.kind & REPEATS:
        inner = next(iter(operands(made)), None)
        made = None if inner is None else inner.made
    if made is None or made.key != "unsqueeze":
        return None
    source = next(iter(operands(made)), None)
    if source is None:
        return None
    shape = source.shape.head if isinstance(source.shape, Partial) else source.shape
    return source if len(shape) >= 2 and shape[1].size == 1 else None


def meets_matrix(result: Tensor, facts: Facts) -> bool:
    """Does the crossed result go on as a matrix of pairs: with another such matrix, as a mask, by its diagonal?"""
    for fact, given in uses(result, facts):
        if _of_pairs(fact) or fact.kind & (MASKS | PICKS | SORTS):
            return True
        others = [t for t in operands_of(fact) if t is not given and t.rank == given.rank and (t.rank or 0) >= 2]
        if any(t.sizes is not None and 1 not in t.sizes and not descends(t, result) for t in others):
            return True
    return False


def operands_of(fact: Called) -> list[Tensor]:
    return [
        t
        for value in fact.args.values()
        for t in (value if isinstance(value, tuple) else (value,))
        if isinstance(t, Tensor)
    ]


# ---------------------------------------------------- all pairs, and row by row


def row_operands(fact: Called) -> tuple[Tensor, Tensor] | None:
    """The two tensors of rank 2 whose rows a similarity compares, transpositions undone."""
    given = [v for k, v in fact.args.items() if isinstance(v, Tensor) and k not in ("bias", "#")]
    if len(given) != 2:
        return None
    left, right = (unmoved(t) for t in given)
    return (left, right) if left.rank == 2 and right.rank == 2 else None
