"""`value[...]` and `value[...] = x`."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING

from shapecheck.dims import symbol
from shapecheck.engine.attributes import as_tensor, attribute, shape_value, told_around
from shapecheck.engine.running import run_spec
from shapecheck.engine.state import join_value
from shapecheck.engine.values import (
    NONE,
    Axis,
    Bound,
    ClassVal,
    Closure,
    Extern,
    Items,
    Layer,
    Lit,
    Many,
    Mapping,
    Method,
    Num,
    Partial,
    Ref,
    Shape,
    ShapeOf,
    SliceVal,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.ops import huggingface
from shapecheck.ops.index import index as index_tensor
from shapecheck.ops.kit import Kit, OpSpec
from shapecheck.source.program import Expr, Index, Node, Slice, Star

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


def item_value(m: Machine, item: Expr | Slice) -> Value:
    if isinstance(item, Slice):
        lower, upper, step = (NONE if e is None else m.resolve(m.eval(e)) for e in (item.lower, item.upper, item.step))
        return SliceVal(lower, upper, step)
    return m.resolve(m.eval(item))


def index(m: Machine, value: Value, expr: Index) -> Value:
    """The value of a subscript expression; `value` is what stands before the bracket."""
    value = m.resolve(value)
    if isinstance(value, Extern):  # `Float[Tensor, "B"]`, `list[int]`: a type
        return value
    if any(isinstance(i, Star) for i in expr.items):
        return m.unknown()
    items = [item_value(m, i) for i in expr.items]
    return of_value(m, value, items, expr, is_tuple=expr.is_tuple)


def of_value(m: Machine, value: Value, items: list[Value], node: Expr, *, is_tuple: bool) -> Value:
    first = items[0] if items else NONE
    match value:
        case Tensor():
            return of_tensor(m, value, items, node)
        case Items():
            return _of_items(m, value, first)
        case Many():
            return replace(value, length=None) if isinstance(first, SliceVal) else m.resolve(m.another(value.item))
        case ShapeOf():
            return _of_shape(m, value, first)
        case Mapping():
            return _of_mapping(m, value, first)
        case Layer():
            return _of_layer(m, value, first)
        case Lit(value=str()):
            return Unknown("str")
        case Ref():
            method = attribute(m, value, "__getitem__", node)
            if not isinstance(method, Closure) and isinstance(first, (Num, SliceVal)):
                from shapecheck.engine.calls import record_members

                held = record_members(m, value)
                return m.unknown() if held is None else _of_items(m, Items("tuple", tuple(v for _, v in held)), first)
            if not isinstance(method, Closure) and isinstance(first, Lit) and isinstance(first.value, str):
                return attribute(m, value, first.value, node)
            if isinstance(method, Closure):
                return m.call(method, items[:1] if not is_tuple else [Items("tuple", tuple(items))], {}, node)
            return m.unknown()
        case Unknown(hint="array"):
            return Unknown("array", m.fresh())
        case Unknown(hint="", key=key):
            sure = is_tuple or any(isinstance(i, (SliceVal, Tensor)) or i == NONE for i in items)
            if sure:
                tensor = as_tensor(value)
                return of_tensor(m, tensor, items, node) if tensor is not None else m.unknown()
            if key is not None and isinstance(first, (Lit, Num)):
                name = first.value if isinstance(first, Lit) else m.size(first.size)
                output = huggingface.customary(m.kit, value, str(name), lambda: told_around(m, node))
                if output is not None:
                    return output
                return m.resolve(Unknown(key=f"{key}[{name!r}]"))
            return m.unknown()
        case _:
            return m.unknown()


def of_tensor(m: Machine, value: Tensor, items: list[Value], node: Node) -> Value:

    return run_spec(m, "operator.getitem", _GETITEM, [value, Items("index", tuple(items))], node)


def _getitem(kit: Kit, input: Tensor, index: Items) -> Tensor:
    return index_tensor(kit, input, index.items)


_GETITEM = OpSpec("getitem", _getitem, tuple(inspect.signature(_getitem).parameters.values())[1:])


def _of_items(m: Machine, value: Items, first: Value) -> Value:
    match first:
        case Num(size=int(i)):
            if -len(value.items) <= i < len(value.items):
                return m.resolve(value.items[i])
            return m.unknown()
        case SliceVal(lower=lo, upper=up, step=st):
            bounds = [None if b == NONE else m.kit.integer(b) for b in (lo, up, st)]
            if any(b is None and v != NONE for b, v in zip(bounds, (lo, up, st))) or bounds[2] == 0:
                return Many(any_of(m, value.items), None, value.kind)
            return Items(value.kind if value.kind != "size" else "size", value.items[slice(*bounds)])
        case _:
            return any_of(m, value.items)


_CALLABLE = (Closure, Layer, ClassVal, Bound, Extern, Method)


def any_of(m: Machine, items: tuple[Value, ...]) -> Value:
    """One of these, nobody knows which: of callables each is tried, other values are joined."""
    if not items:
        return m.unknown()
    kinds = {i.name if isinstance(i, Layer) else "" for i in items}
    if len(items) > 1 and all(isinstance(i, _CALLABLE) for i in items) and (kinds == {""} or len(kinds) > 1):
        pick = m.oracle.choose(min(len(items), 4))
        return m.unknown() if pick == 3 and len(items) > 4 else items[pick]
    out = items[0]
    for i in items[1:]:
        out = join_value(out, i, m.fresh)
    return out


def _of_shape(m: Machine, value: ShapeOf, first: Value) -> Value:
    """`x.shape[0]` of a tensor of unknown rank: it has at least that many axes, and this one gets a symbol."""
    t = m.state.tensor(value.tensor)
    if t.axes is not None:
        whole = shape_value(m, t)
        assert isinstance(whole, Items)
        return _of_items(m, whole, first)
    if isinstance(first, Num) and isinstance(m.size(first.size), int):
        return size_at(m, t, int(m.size(first.size)))  # type: ignore[arg-type]
    return m.unknown("int") if isinstance(first, Num) else m.unknown()


MOST_AXES = 64  # more than that no tensor of torch has


def size_at(m: Machine, t: Tensor, at: int) -> Value:
    """`x.size(at)` of a tensor of unknown rank; learned, so that the next look gives the same symbol."""
    shape: Shape = m.state.tensor(t).shape
    if not isinstance(shape, Partial) or not -MOST_AXES <= at < MOST_AXES:
        return m.unknown("int")
    head, tail = shape.head, shape.tail
    if at >= 0:
        new_head = head + tuple(Axis(symbol(m.fresh()), role="" if i else "batch") for i in range(len(head), at + 1))
        axis, found = new_head[at], len(new_head) != len(head)
        learned = Partial(new_head, tail, None)
    else:
        new_tail = tuple(Axis(symbol(m.fresh())) for _ in range(-at - len(tail))) + tail
        axis, found = new_tail[at], len(new_tail) != len(tail)
        learned = Partial(head, new_tail, None)
    if found and shape.key is not None:
        key = m.fresh()
        m.state.shapes[shape.key] = replace(learned, key=key)
        m.facts.shaped.add(shape.key)
    return Num(axis.size, axis.origin, t, at)


def _of_mapping(m: Machine, value: Mapping, first: Value) -> Value:
    if isinstance(first, Lit) and isinstance(first.value, str):
        found = value.get(first.value)
        return m.resolve(found) if found is not None else m.unknown()
    if isinstance(first, Num) and isinstance(first.size, int) and value.kind != "dict":
        if 0 <= first.size < len(value.items):  # a ModelOutput counts its members in order
            return m.resolve(value.items[first.size][1])
        return m.unknown()
    members = [v for _, v in value.items] + ([m.another(value.rest)] if value.rest is not None else [])
    return any_of(m, tuple(members)) if members and value.kind == "dict" else m.unknown()


def _of_layer(m: Machine, value: Layer, first: Value) -> Value:
    for name in ("modules", "args", "values"):
        members = value.arg(name)
        if members is not None:
            members = m.resolve(members)
            if isinstance(members, Items):
                return _of_items(m, members, first)
            if isinstance(members, Many):
                return members.item
            if isinstance(members, Mapping):
                return _of_mapping(m, members, first)
    return m.unknown()


def with_item(m: Machine, value: Value, items: list[Value], new: Value) -> Value:
    """What `value` is after `value[items] = new` (containers are values here: the caller rebinds the name)."""
    first = items[0] if items else NONE
    match value:
        case Mapping():
            if isinstance(first, Lit) and isinstance(first.value, str):
                kept = dict(value.items)
                kept[first.value] = new
                return replace(value, items=tuple(kept.items()))
            rest = new if value.rest is None else join_value(value.rest, new, m.fresh)
            return replace(value, rest=rest)
        case Items():
            if (
                isinstance(first, Num)
                and isinstance(first.size, int)
                and -len(value.items) <= first.size < len(value.items)
            ):
                members = list(value.items)
                members[first.size] = new
                return replace(value, items=tuple(members))
            return Many(any_of(m, (*value.items, new)), len(value.items), value.kind)
        case Many():
            return replace(value, item=join_value(value.item, new, m.fresh))
        case Tensor():
            return value.with_(content=None)
        case _:
            return value
