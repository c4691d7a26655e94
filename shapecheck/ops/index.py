"""`x[...]`: slices, None, ellipsis, ints, integer and boolean tensors, and any mix of them.

The rules are torch's, which differ from numpy's in one point: an int (or a 0-d integer tensor) selects first and does
not count as an index tensor when the place of the indexed axes is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shapecheck.dims import NEVER, Size, exact_div, maximum, minimum, nonnegative, positive, symbols
from shapecheck.engine.values import (
    Affine,
    Axis,
    Items,
    Joined,
    Lit,
    Many,
    Merged,
    Num,
    Partial,
    SliceVal,
    Tensor,
    Unknown,
    Value,
)  # fmt: skip
from shapecheck.ops import layout
from shapecheck.ops.axes import as_tensor, is_none, reach, require, within
from shapecheck.ops.counts import is_count
from shapecheck.ops.kit import Kit

FULL = SliceVal(Lit(None), Lit(None), Lit(None))


def index(kit: Kit, tensor: Tensor, items: Sequence[Value]) -> Tensor:
    """What `tensor[items]` is. Unknown items leave what stands before them."""
    if len(items) == 1 and isinstance(items[0], Items) and items[0].kind == "tuple":
        items = items[0].items
    given = [_normal(kit, item) for item in items]
    dots = [i for i, item in enumerate(given) if item == Lit(...)]
    if len(dots) > 1:
        kit.crash("setting", "index", (tensor,), None, None, NEVER, "an index can have only one ellipsis")
        return Tensor(Partial(), tensor.dtype)
    front, back = (given[: dots[0]], given[dots[0] + 1 :]) if dots else (given, [])
    uses_front, uses_back = [_uses(i) for i in front], [_uses(i) for i in back]
    if None in uses_front or None in uses_back:
        return _around_unknown(kit, tensor, front, uses_front)
    at_front, at_back = sum(u or 0 for u in uses_front), sum(u or 0 for u in uses_back)
    if isinstance(tensor.shape, Partial):
        return _partial(kit, tensor, front, back, at_front, at_back)
    fill = len(tensor.shape) - at_front - at_back
    if fill < 0:
        text = f"{at_front + at_back} indices for a tensor of rank {tensor.rank}"
        kit.crash("indices", "index", (tensor,), at_front + at_back, tensor.rank, NEVER, text)
        return Tensor(Partial(), tensor.dtype)
    return _known(kit, tensor, [*front, *[FULL] * fill, *back])


def stored(kit: Kit, tensor: Tensor, items: Sequence[Value], value: Value) -> None:
    """torch's demands of `tensor[items] = value`: the value must broadcast to the part that is written, as it is."""
    part, given = index(kit, tensor, items), as_tensor(value)
    if part.axes is None or given.axes is None:
        return
    more = max(len(given.axes) - len(part.axes), 0)
    for axis in given.axes[:more]:  # leading axes of size 1 are taken off
        if not require(
            kit, "fits", "assignment", (given, part), axis.size, 1, "an axis in front of the value", "value"
        ):
            return
    for own, theirs in zip(reversed(part.axes), reversed(given.axes[more:])):
        if theirs.size != 1 and not kit.is_free(theirs.size):
            require(kit, "fits", "assignment", (given, part), theirs.size, own.size, "the value", "value")


def _normal(kit: Kit, item: Value) -> Value:
    """Lists become integer or boolean tensors; 0-d integer tensors ints."""
    match item:
        case Tensor(shape=(), dtype="int"):
            return Unknown("int")
        case Items("list" | "tuple", items):
            if items and all(kit.size(v) is not None or v == Unknown("int") for v in items):
                return Tensor((Axis(len(items)),), "int")
            if items and all(isinstance(v, Lit) and isinstance(v.value, bool) for v in items):
                return Tensor((Axis(len(items)),), "bool")
            return Unknown()
        case Many(item=Num() | Unknown(hint="int"), length=length):
            return Tensor((Axis(kit.fresh("n") if length is None else length),), "int")
    return item


def _uses(item: Value) -> int | None:
    """How many axes an item consumes; None when that is not known."""
    match item:
        case Lit(None):
            return 0
        case SliceVal() | Num() | Unknown(hint="int"):
            return 1
        case Tensor(dtype="bool" | "byte"):  # torch takes uint8 for a mask, as before there were bools
            return item.rank or None
        case Tensor(dtype="int"):
            return 1
        case Tensor(dtype=None):
            return 1 if item.rank == 1 else None
    return None


def _around_unknown(kit: Kit, tensor: Tensor, front: Sequence[Value], uses: Sequence[int | None]) -> Tensor:
    """Something in the index is not understood: the slices before it are sure, if nothing can move to the front."""
    if None not in uses or any(isinstance(i, Tensor) for i in front):
        return Tensor(Partial(), tensor.dtype)
    before = front[: uses.index(None)]
    rest = front[uses.index(None) + 1 :]
    if any(_uses(i) is None for i in rest):
        return Tensor(Partial(), tensor.dtype)
    count = sum(_uses(i) or 0 for i in before)
    head = tensor.shape.head if isinstance(tensor.shape, Partial) else tensor.shape
    if len(head) < count:
        return Tensor(Partial(), tensor.dtype)
    kept = _known(kit, Tensor(head[:count], tensor.dtype), before).axes
    return Tensor(Partial(kept or ()), tensor.dtype)


def _partial(
    kit: Kit, tensor: Tensor, front: Sequence[Value], back: Sequence[Value], at_front: int, at_back: int
) -> Tensor:
    """Indexing a tensor of unknown rank: its head and its tail are each indexed for themselves."""
    for dim in (at_front - 1, -at_back):
        if (dim >= 0 and at_front) or dim < 0:
            tensor = reach(kit, "index", tensor, dim) or tensor
    if not isinstance(tensor.shape, Partial):
        return index(kit, tensor, [*front, Lit(...), *back])
    head, tail = tensor.shape.head, tensor.shape.tail
    gathers = [any(isinstance(i, Tensor) for i in part) for part in (front, back)]
    if len(head) < at_front or len(tail) < at_back or all(gathers):
        return Tensor(Partial(), tensor.dtype)
    split = len(tail) - at_back
    start = _known(kit, Tensor(head[:at_front]), front)
    end = _known(kit, Tensor(tail[split:]), back)
    if end.axes is None or (gathers[1] and not _adjacent(back)):
        return Tensor(Partial(), tensor.dtype)
    if start.axes is None:
        return Tensor(Partial((), (*tail[:split], *end.axes)), tensor.dtype)
    return Tensor(Partial((*start.axes, *head[at_front:]), (*tail[:split], *end.axes)), tensor.dtype)


def _adjacent(items: Sequence[Value]) -> bool:
    """Do the index tensors stand side by side once ints have selected? Then the indexed axes keep their place."""
    marks = [isinstance(i, Tensor) for i in items if not isinstance(i, Num | Unknown)]
    if True not in marks:
        return True
    first, last = marks.index(True), len(marks) - 1 - marks[::-1].index(True)
    return all(marks[first : last + 1])


def _known(kit: Kit, tensor: Tensor, items: Sequence[Value]) -> Tensor:
    """Indexing all axes of a tensor of known rank."""
    axes = tensor.axes or ()
    result: list[Axis] = []
    gathered: list[Tensor] = []
    place = 0
    at = 0
    content = tensor.content if len(items) == 1 and isinstance(items[0], SliceVal) else None
    for item in items:
        match item:
            case Lit(None):
                result.append(kit.axis(1, "None"))
            case SliceVal():
                result.append(sliced(kit, tensor, axes[at], item))
                content = content and _slice_content(kit, content, item)
                at += 1
            case Num(size):
                within(kit, "index", tensor, axes[at], size)
                at += 1
            case Tensor(dtype="bool" | "byte"):
                if not gathered:
                    place = len(result)
                gathered.append(_mask(kit, tensor, item, axes[at:]))
                at += item.rank or 0
            case Tensor():
                if not gathered:
                    place = len(result)
                known = item.dtype == "int"
                gathered.append(item if known else Tensor((kit.axis(kit.fresh("n"), "index"),), "int"))
                at += 1
            case _:  # an unknown int
                at += 1
    if not gathered:
        return Tensor(tuple(result), tensor.dtype, content=content)
    shape = gathered[0].shape if len(gathered) == 1 else kit.broadcast("index", *gathered)
    if not _adjacent(items):
        place = 0
    if isinstance(shape, Partial):
        before, after = tuple(result[:place]), tuple(result[place:])
        return Tensor(Partial((*before, *shape.head), (*shape.tail, *after)), tensor.dtype)
    return Tensor((*result[:place], *shape, *result[place:]), tensor.dtype)


def _mask(kit: Kit, tensor: Tensor, mask: Tensor, axes: Sequence[Axis]) -> Tensor:
    """A boolean mask must have the sizes of the axes it covers; how many it picks is not known."""
    for axis, (own, covered) in enumerate(zip(mask.axes or (), axes)):
        require(kit, "mask", "index", (tensor, mask), own.size, covered.size, f"axis {axis}", "index")
    return Tensor((kit.axis(kit.fresh("n"), "boolean mask"),), "int")


# --------------------------------------------------------------------- slices


def sign(size: Size) -> int | None:
    """1 for sizes that are never negative, -1 for those that always are, None for the others."""
    if isinstance(size, int):
        return 1 if size >= 0 else -1
    if nonnegative(size):
        return 1
    if positive(0 - size):
        return -1
    return None


def sliced(kit: Kit, tensor: Tensor, axis: Axis, item: SliceVal) -> Axis:
    """One axis through `lower:upper:step`, clipped as Python clips."""
    bounds = [None if is_none(v) else kit.size(v) for v in (item.lower, item.upper, item.step)]
    unknown = [b is None and not is_none(v) for b, v in zip(bounds, (item.lower, item.upper, item.step))]
    lower, upper, step = bounds[0] or 0, bounds[1], 1 if bounds[2] is None else bounds[2]
    if not any(unknown) and lower == 0 and upper is None and step == 1:
        return axis
    if isinstance(step, int) and step <= 0:  # torch refuses, numpy does not, and arrays may pass for tensors
        return kit.axis(kit.fresh("n"), "slice")
    if any(unknown):
        return kit.axis(kit.fresh("n"), "slice")
    if step == 1:
        part = _part(kit, axis, lower, upper)
        if part is not None:
            return part
    length = _length(axis.size, lower, upper)
    if length is not None and step != 1:
        if isinstance(step, int):
            length = (length + (step - 1)) // step
        else:
            length = exact_div(length, step) if lower == 0 else None
    if length is None:
        return kit.axis(kit.fresh("n"), "slice")
    if layout.equal(kit, length, axis.size):
        return axis
    made = kit.axis(length, "slice")
    if isinstance(axis.layout, Merged) and lower == 0 and upper is None and step != 1:
        outer = layout.merge(kit, axis.layout.factors[:-1], "slice")
        if layout.equal(kit, axis.layout.factors[-1].size, step) and layout.equal(kit, outer.size, length):
            return outer  # every G-th row of (B, G): the first of each group
    return made


def _length(size: Size, lower: Size, upper: Size | None) -> Size | None:
    if not is_count(lower) or (upper is not None and not is_count(upper)):
        return None  # `x[k:]` of a k that may be negative counts from the end
    low, high = sign(lower), 1 if upper is None else sign(upper)
    if low is None or high is None:
        return None
    if upper is None:
        end = size
    else:
        end = minimum(upper, size) if high == 1 else maximum(size + upper, 0)
    if low == 1:
        if lower == 0:
            return end
        if upper is None:
            return maximum(size - lower, 0)
        start = minimum(lower, size)
        if start != lower or (end != upper and high == 1 and not isinstance(size, int)):
            return maximum(end - start, 0) if isinstance(end, int) and isinstance(start, int) else None
        return maximum(end - start, 0)
    if upper is None:
        if any(name.startswith("$") for name in symbols(lower)):
            return None  # `x[-k:]` of a configured k is all of x where k is 0
        return minimum(0 - lower, size)
    start = maximum(size + lower, 0)
    return maximum(end - start, 0)


def _part(kit: Kit, axis: Axis, lower: Size, upper: Size | None) -> Axis | None:
    """A slice that cuts out parts of a `cat`, or the first block of a merged axis, is that part."""
    match axis.layout:
        case Joined(parts):
            edges: list[Size] = [0]
            for part in parts:
                edges.append(edges[-1] + part.size)
            start = next((i for i, e in enumerate(edges) if layout.equal(kit, e, lower)), None)
            stop = (
                len(parts)
                if upper is None
                else next((i for i, e in enumerate(edges) if layout.equal(kit, e, upper)), None)
            )
            if start is None or stop is None or stop <= start:
                return None
            chosen = parts[start:stop]
            if len(chosen) == 1:
                return chosen[0]
            return replace(kit.axis(edges[stop] - edges[start], "slice"), layout=Joined(chosen))
        case Merged((_, *inner)) if lower == 0 and upper is not None:
            block = layout.merge(kit, inner, "slice")
            return block if layout.equal(kit, block.size, upper) else None
    return None


def _slice_content(kit: Kit, content: Any, item: SliceVal) -> Affine | None:
    lower = 0 if is_none(item.lower) else kit.size(item.lower)
    step = 1 if is_none(item.step) else kit.size(item.step)
    if lower is None or step is None or sign(lower) != 1:
        return None
    return Affine(content.offset + content.stride * lower, content.stride * step)
