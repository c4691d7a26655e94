"""Columns and rows: `[B, 1]` beside `[B]`, also where ranks are not known but the code tells that an axis differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shapecheck.analysis.crossing import (
    column_on_purpose,
    picked_from,
)
from shapecheck.analysis.labels import written_operands
from shapecheck.analysis.origin import IN_PLACE_ORDER, base, identity, operands
from shapecheck.dims import compare
from shapecheck.engine.facts import Called, Facts, Met
from shapecheck.engine.values import Axis, Items, Lit, Made, Num, Partial, SliceVal, Tensor, Unknown, Value
from shapecheck.ops.kinds import (
    ARITHMETIC,
    BOUNDS,
    CAST,
    DROPS_AXIS,
    ELEMENTWISE_LOSS,
    EQUALS,
    RESHAPES,
    SCALES,
)
from shapecheck.source.program import Index, Name, Slice


def unscaled(tensor: Tensor) -> Tensor:
    """`alpha * x` of an alpha that nothing is known of: x, since a factor is a number more often than not."""
    made = tensor.made
    if tensor.rank is not None or made is None or not made.kind & SCALES:
        return tensor
    inner = operands(made)
    known = [t for t in inner if t.made is not None or t.shape != Partial()]
    return unscaled(known[0]) if len(inner) == 2 and len(known) == 1 else tensor


def is_column(tensor: Tensor) -> bool:
    """`[..., 1]`, `[N, 1]`, or `[N, 1, ...]`: the last axis, or the second, is one of size 1."""
    shape = tensor.shape
    if isinstance(shape, Partial):
        last = bool(shape.tail) and shape.tail[-1].size == 1
        return last or (len(shape.head) > 1 and shape.head[1].size == 1 and not shape.tail)
    return len(shape) > 1 and shape[-1].size == 1


def flattened_column(row: Tensor) -> Tensor | None:
    """The column that `[B]` was before it was made flat: `x.view(-1)`, `x.squeeze(-1)` of an x that ends in 1."""
    if row.rank != 1:
        return None
    for _ in range(20):
        made = base(row, IN_PLACE_ORDER).made
        if made is None:
            return None
        inner = operands(made)
        if made.kind & (RESHAPES | DROPS_AXIS) and len(inner) == 1:
            return inner[0] if is_column(inner[0]) else None
        full = [t for t in inner if t.rank != 0]
        if not made.kind & (ARITHMETIC | BOUNDS) or not full:
            return None
        found = [c for c in map(flattened_column, full) if c is not None]
        return found[0] if found else None
    return None


# ------------------------------------------- told by a loss: one axis more, or less


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Before `loss`, which needs one shape, one of two values is reshaped; at `met` the same two meet as they are."""

    loss: Called
    met: Met
    drops: bool  # the loss drops the axis of the one (it adds it to it otherwise)
    changed: int  # which operand of `met` the loss reshapes


def told_by(loss: Called, facts: Facts) -> Iterator[Told]:
    """Where the operands of an elementwise loss meet elsewhere in the function without the axis that they differ by."""
    if not loss.kind & ELEMENTWISE_LOSS:
        return
    left, right = loss.args.get("input"), loss.args.get("target")
    for changed, plain in ((left, right), (right, left)):
        step = _reshaped(changed)
        if step is None or not isinstance(plain, (Tensor, Unknown)):
            continue
        drops, source = step
        this, that = identity(source, CAST), identity(plain, CAST)
        if this is None or that is None or this == that or _ranks_differ_otherwise(source, plain, drops):
            continue
        seen: set[int] = set()
        for met in facts.of(Met):
            if met.activation != loss.activation or met.site.path != facts.path or id(met.site.node) in seen:
                continue
            if _apart(met, loss):
                continue
            pair = tuple(identity(v, CAST) for v in met.operands)
            if pair in ((this, that), (that, this)):
                seen.add(id(met.site.node))
                yield Told(loss, met, drops, pair.index(this))


def _reshaped(value: object) -> tuple[bool, Tensor] | None:
    """`x.squeeze(-1)`, `x[:, 0]`: (True, x). `x.unsqueeze(1)`, `x[:, None]`, `x.view(-1, 1)`: (False, x)."""
    if not isinstance(value, Tensor):
        return None
    made = base(value, CAST).made
    inner = operands(made) if made is not None else []
    if made is None or len(inner) != 1:
        return None
    drops = _drops(made, inner[0])
    return None if drops is None else (drops, inner[0])


def _drops(made: Made, source: Tensor) -> bool | None:
    """Does the call take an axis of size 1 away (True), or add one behind the first (False)?"""
    match made.key:
        case "squeeze" if made.args.get("dim") in (Num(-1), Num(1)):
            return True
        case "unsqueeze" if made.args.get("dim") in (Num(-1), Num(1)):
            return False
        case "view" if made.args.get("shape") == (Num(-1), Num(1)) and not is_column(source):
            return False
        case "getitem":
            return _INDEXED.get(_index_text(made.args.get("index")))
    return None


_INDEXED = {":,0": True, "...,0": True, ":,None": False, "...,None": False}


def _index_text(index: object) -> str:
    """`x[:, 0]` has ":,0"."""
    words = []
    for item in index.items if isinstance(index, Items) else ():
        match item:
            case SliceVal(Lit(None), Lit(None), Lit(None)):
                words.append(":")
            case Lit(value=v):
                words.append("..." if v is ... else str(v))
            case Num(size=n):
                words.append(str(n))
            case _:
                words.append("?")
    return ",".join(words)


def _ranks_differ_otherwise(source: Tensor, plain: Value, drops: bool) -> bool:
    rank = plain.rank if isinstance(plain, Tensor) else None
    if source.rank is not None and rank is not None:
        return source.rank - rank != (1 if drops else -1)
    if drops and not isinstance(source.shape, Partial):
        return not is_column(source)
    return False


def _apart(a: Met, b: Called) -> bool:
    """Do the two stand on ways that exclude each other?"""
    taken = dict(b.path)
    return any(taken.get(test, arm) != arm for test, arm in a.path)


def ends_in_one(column: Tensor) -> bool:
    """`[..., 1]`, `[N, 1]`."""
    axes = column.shape.tail if isinstance(column.shape, Partial) else column.shape[1:]
    return bool(axes) and axes[-1].size == 1 and (column.rank or 2) == 2


def rows_are_known(column: Tensor, row: Tensor) -> bool:
    """Are there as many rows on both sides, which `check` speaks of, or one, or never as many?"""
    if column.axes is None or row.axes is None:
        return False
    verdict = compare(column.axes[0].size, row.axes[0].size)
    return verdict.always or verdict.never or column.axes[0].size == 1


def compared_with_row(name: str, fact: Called, facts: Facts) -> bool:
    """Is the variable compared, in this function, with a tensor of rank 1?"""
    for f in facts.of(Called):
        if not f.kind & EQUALS or f.activation != fact.activation:
            continue
        if any(isinstance(o, Name) and o.id == name for o in written_operands(f.site.node)):
            sides = (f.args.get("input"), f.args.get("other"))
            if any(isinstance(s, Tensor) and s.rank == 1 for s in sides):
                return True
    return False


def of_one_tensor(column: Tensor, row: Tensor) -> bool:
    """`x.sum(1, keepdim=True) + x.sum(1)`: squared distances of all pairs of one tensor's rows."""
    left, right = base(column).made, base(row).made
    if left is None or right is None or left.key != right.key:
        return False
    a, b = left.args.get("input"), right.args.get("input")
    return isinstance(a, Tensor) and isinstance(b, Tensor) and base(a).made is base(b).made


def as_meant(column: Tensor, row: Tensor, result: Tensor) -> tuple[Tensor, Tensor]:
    """Column and result with the row's batch in front: rows that `gather` picked are as many as it had."""
    if column.axes is None or row.axes is None or result.axes is None or len(column.axes) != len(result.axes):
        return column, result
    first = row.axes[0]
    return column.with_(shape=(first, *column.axes[1:])), result.with_(shape=(first, *result.axes[1:]))


def picked_columns(fact: Called, facts: Facts) -> Iterator[tuple[Tensor, Tensor, Axis, str]]:
    """`x[:, k] - x.gather(1, i)`: the column, what k picks, the rows of x, and the name of a k that is compared with a
    row of labels, so that it is one number or makes a matrix."""
    left, right = fact.tensor("input"), fact.tensor("other")
    if left is None or right is None:
        return
    for column, row in ((left, right), (right, left)):
        made = base(row, IN_PLACE_ORDER).made
        if row.rank is not None or column.rank != 2 or made is None or column_on_purpose(column):
            continue
        source, node = made.tensor("input"), made.site.node
        if source is None or source.rank != 2 or not isinstance(node, Index) or not column.axes:
            continue
        match node.items:
            case (Slice(lower=None, upper=None, step=None), Name(id=picked)):
                pass
            case _:
                continue
        rows = source.axes[0] if source.axes else column.axes[0]
        if column.axes[1].size != 1 or isinstance(rows.size, int) or not compared_with_row(picked, fact, facts):
            continue
        if rows.size in (column.axes[0].size, picked_from(column)):
            yield column, row, rows, picked


__all__ = [
    "Told", "as_meant", "ends_in_one", "flattened_column", "is_column", "of_one_tensor", "picked_columns",
    "rows_are_known", "told_by", "unscaled",
]  # fmt: skip
