"""What a loop, a comprehension or an unpacking goes over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapecheck.engine.attributes import attribute
from shapecheck.engine.state import join_value
from shapecheck.engine.subscripts import of_tensor
from shapecheck.engine.values import (
    Closure,
    Items,
    Layer,
    Lit,
    Many,
    Mapping,
    Num,
    Ref,
    ShapeOf,
    Tensor,
    Unknown,
    Value,
    only_told,
)

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

UNROLL = 8  # a loop over at most so many known members runs once for each


def members_of(m: Machine, source: Value) -> tuple[list[Value] | None, Value]:
    """All members in order where they are known (else None), and one that stands for any of them."""
    source = m.resolve(source)
    match source:
        case Items(items=items):
            return list(items), _any(m, list(items))
        case Many(item=item, length=int(n)) if n <= UNROLL:
            return [m.another(item) for _ in range(n)], m.another(item)
        case Many(item=item):
            return None, m.another(item)
        case Mapping(items=items, rest=None, kind="dict"):
            return [Lit(k) for k, _ in items], Unknown("str")
        case Mapping(items=items, rest=None, kind="namedtuple"):  # `values, indices = x.max(dim=1)`
            members = [v for _, v in items]
            return members, _any(m, members)
        case Mapping():
            return None, Unknown("str")
        case Tensor():
            if source.rank == 0 or (source.made is None and only_told(source, "docstring", "by custom")):
                return None, m.unknown()  # whoever loops over it may mean a list of such tensors
            row = of_tensor(m, source, [Unknown("int", m.fresh())], m.site.node)
            count = source.axes[0].size if source.axes is not None else None
            if isinstance(count, int) and count <= UNROLL:
                return [row] * count, row
            return None, row
        case Lit(value=str(text)):
            return [Lit(c) for c in text[:UNROLL]] if len(text) <= UNROLL else None, Unknown("str")
        case Layer():
            for name in ("modules", "args"):
                inner = source.arg(name)
                if inner is not None:
                    return members_of(m, inner)
            return None, m.unknown()
        case Ref():
            from shapecheck.engine.calls import record_members

            held = record_members(m, source)
            if held is not None:
                members = [v for _, v in held]
                return members, _any(m, members)
            method = attribute(m, source, "__iter__", m.site.node)  # type: ignore[arg-type]
            if isinstance(method, Closure):
                made = m.call(method, [], {}, m.site.node)
                if not isinstance(made, Ref):
                    return members_of(m, made)
            return None, m.unknown()
        case _:
            return None, m.unknown()


def _any(m: Machine, items: list[Value]) -> Value:
    if not items:
        return m.unknown()
    out = items[0]
    for i in items[1:]:
        out = join_value(out, i, m.fresh)
    return out


def unpack(m: Machine, value: Value, count: int, star: int | None) -> list[Value] | None:
    """The values of `a, b, *c = value`: `count` targets, the starred one at `star`. None when nothing is known.

    `b, s, d = x.shape` teaches that x has three axes.
    """
    value = m.resolve(value)
    if isinstance(value, ShapeOf) and star is None:
        tensor = m.kit.rank(value.tensor, count)
        if tensor.axes is not None and len(tensor.axes) == count:
            return [Num(a.size, a.origin) for a in tensor.axes]
        return None
    if isinstance(value, Unknown):
        return None
    known, any_member = members_of(m, value)
    if known is None:
        return (
            [m.another(any_member, str(i)) for i in range(count)]
            if star is None
            else [Many(any_member) if i == star else any_member for i in range(count)]
        )
    if star is None:
        return known if len(known) == count else None
    after = count - star - 1
    if len(known) < star + after:
        return None
    stop = len(known) - after
    return [*known[:star], Items("list", tuple(known[star:stop])), *known[stop:]]
