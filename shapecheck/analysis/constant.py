"""Indices that are one number in every place: zeros of a counted length, and what reshapes, repeats or shifts them."""

from __future__ import annotations

from shapecheck.analysis.origin import operands
from shapecheck.dims import compare
from shapecheck.engine.facts import Called
from shapecheck.engine.values import Affine, Axis, Items, Made, Tensor
from shapecheck.ops.kinds import (
    ADDS_AXIS,
    CAST,
    CREATES,
    DROPS_AXIS,
    JOINS,
    REPEATS,
    RESHAPES,
    SHIFTS,
    SUBSCRIPT,
    SWAPS,
)

_HANDS_ON = CAST | RESHAPES | ADDS_AXIS | DROPS_AXIS | REPEATS | SWAPS | SUBSCRIPT


def constant(tensor: Tensor) -> Made | None:
    """What made it with one whole number in all of its places, as many as something else counts; None otherwise."""
    for _ in range(30):
        made = tensor.made
        if made is None:
            return None
        content = tensor.content
        if made.kind & CREATES and tensor.dtype == "int":
            sizes = tensor.sizes or ()
            counted = len(sizes) == 1 and not isinstance(sizes[0], int)
            return made if counted and isinstance(content, Affine) and content.stride == 0 else None
        inner = operands(made)
        if made.kind & SHIFTS:
            inner = [t for t in inner if t.rank != 0]
        if made.kind & JOINS:
            found = [constant(t) for t in inner]
            first = found[0] if found else None
            same = first is not None and all(f is not None and f.site.node is first.site.node for f in found)
            return first if same else None
        if not made.kind & (_HANDS_ON | SHIFTS) or len(inner) != 1:
            return None
        tensor = inner[0]
    return None


def one_row_read(fact: Called) -> tuple[Made, Axis] | None:
    """`x[zeros, other]` with as many zeros as the axis has places: every row reads the same one."""
    index, source = fact.args.get("index"), fact.tensor("input")
    if not fact.kind & SUBSCRIPT or source is None or not isinstance(index, Items):
        return None
    given = [t for t in index.items if isinstance(t, Tensor) and t.dtype != "bool"]
    if len(given) < 2 or len(given) != len(index.items):
        return None
    axes = source.shape if isinstance(source.shape, tuple) else source.shape.head
    for item, axis in zip(given, axes):
        made = constant(item)
        counted = bool(item.sizes) and compare((item.sizes or (1,))[0], axis.size).always
        if made is not None and counted and any(constant(t) is None for t in given if t is not item):
            return made, axis
    return None


def one_column_written(fact: Called) -> tuple[Made, Axis] | None:
    """`x.scatter(1, zeros[:, None], 0)` with a place for each row: all rows write the same column."""
    index, source = fact.tensor("index"), fact.tensor("input")
    if fact.key != "scatter" or source is None or index is None or fact.dim() not in (1, -1):
        return None
    made = constant(index)
    if made is None or index.rank != 2 or source.axes is None or len(source.axes) != 2 or index.axes is None:
        return None
    if index.axes[1].size != 1 or not compare(index.axes[0].size, source.axes[0].size).always:
        return None
    return made, source.axes[0]


def equal_everywhere(fact: Called) -> Made | None:
    """`labels[:, None] == labels[None]` of labels that are all one number."""
    left, right = fact.tensor("input"), fact.tensor("other")
    if left is None or right is None:
        return None
    one, other = constant(left), constant(right)
    if one is None or other is None or one.site.node is not other.site.node:
        return None
    result = fact.result
    return one if isinstance(result, Tensor) and (result.rank or 0) >= 2 else None


__all__ = ["constant", "equal_everywhere", "one_column_written", "one_row_read"]
