"""Methods of lists, dicts, strings and sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shapecheck.engine.attributes import MOVES, REGISTERS, resolved
from shapecheck.engine.running import run_spec
from shapecheck.engine.state import join_value
from shapecheck.engine.subscripts import any_of, of_value
from shapecheck.engine.values import (
    NONE,
    UNKNOWN,
    Items,
    Layer,
    Lit,
    Many,
    Mapping,
    Num,
    Ref,
    ShapeOf,
    Unknown,
    Value,
)
from shapecheck.ops import distributions
from shapecheck.ops.kit import OpSpec, signature
from shapecheck.source.program import Node

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


def changed_by(m: Machine, owner: Items | Many | Mapping, name: str, args: list[Value]) -> Value | None:
    """The container after a method that changes it; None where the method changes nothing that is known of."""
    first = args[0] if args else NONE
    match owner, name:
        case Items(items=items), "append" if len(items) < 64:
            return replace(owner, items=(*items, first))
        case Items(items=items), "extend" if isinstance(first, Items):
            return replace(owner, items=items + first.items)
        case Items(items=items), "extend" if isinstance(first, Many):
            item = first.item
            for i in items:
                item = join_value(item, i, m.fresh)
            return Many(item, None, owner.kind)
        case Items(items=items), "insert" if len(args) == 2 and isinstance(first, Num) and isinstance(first.size, int):
            members = list(items)
            members.insert(first.size, args[1])
            return replace(owner, items=tuple(members))
        case Items(items=items), "pop" if items and (not args or first == Num(-1)):
            return replace(owner, items=items[:-1])
        case Items(items=items), "pop" if items and first == Num(0):
            return replace(owner, items=items[1:])
        case Items(items=items), "reverse":
            return replace(owner, items=tuple(reversed(items)))
        case ((Items() | Many()), "clear"):
            return Items(owner.kind, ())
        case Items(), ("append" | "extend" | "insert" | "pop" | "remove" | "sort"):
            return Many(m.unknown(), None, owner.kind)
        case Many(), "append":
            return replace(owner, item=join_value(owner.item, first, m.fresh), length=None)
        case Many(), ("extend" | "insert" | "pop" | "remove"):
            return replace(owner, item=m.unknown() if name in ("extend", "insert") else owner.item, length=None)
        case Mapping(), "update":
            if isinstance(first, Mapping):
                merged = dict(owner.items) | dict(first.items)
                return replace(owner, items=tuple(merged.items()), rest=owner.rest if first.rest is None else UNKNOWN)
            return replace(owner, rest=UNKNOWN) if args else None
        case Mapping(items=items), "pop" if isinstance(first, Lit):
            return replace(owner, items=tuple((k, v) for k, v in items if k != first.value))
        case Mapping(), "setdefault" if isinstance(first, Lit) and isinstance(first.value, str) and len(args) == 2:
            if owner.get(first.value) is None:
                return replace(owner, items=(*owner.items, (first.value, args[1])))
    return None


def call_method(m: Machine, owner: Value, name: str, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
    match owner:
        case Mapping():
            return _of_mapping(m, owner, name, args)
        case Items(kind="size") | ShapeOf() if name == "numel":
            total: object = 1
            if isinstance(owner, Items):
                for i in owner.items:
                    size = m.kit.size(i)
                    if size is None:
                        return m.unknown("int")
                    total = total * size  # type: ignore[operator]
                return Num(total)  # type: ignore[arg-type]
            return m.unknown("int")
        case Items(items=items) if name == "index" and args:
            if args[0] in items:
                return Num(items.index(args[0]))
            return m.unknown("int")
        case Items(items=items) if name == "pop" and items:
            first = args[0] if args else Num(-1)
            return of_value(m, owner, [first], node, is_tuple=False)  # type: ignore[arg-type]
        case Items() if name == "copy":
            return owner
        case Many(item=item) if name in ("pop", "__getitem__"):
            return item
        case Lit(value=str(text)):
            return _of_string(m, text, name, args)
        case Ref(id=id) if name in REGISTERS:
            match args:
                case [Lit(value=str(attribute)), value] if id in m.state.heap:
                    m.state.heap[id] = m.state.heap[id].having(attribute, value)
            return NONE
        case Layer() if owner.name in distributions.CONSTRUCTORS and name in distributions.METHODS:
            own = resolved(m, owner)
            spec = OpSpec(
                name,
                lambda kit, *args: distributions.member(kit, own, name, *args),
                signature(distributions.METHODS[name]),
            )
            return run_spec(m, f"{owner.name}.{name}", spec, args, node, kwargs)
        case Layer() | Ref():
            return owner if name in MOVES else m.unknown()
        case _:
            return m.unknown()


def _of_mapping(m: Machine, owner: Mapping, name: str, args: list[Value]) -> Value:
    first = args[0] if args else NONE
    match name:
        case "get" | "pop" | "setdefault":
            if isinstance(first, Lit) and isinstance(first.value, str):
                found = owner.get(first.value)
                if found is not None:
                    return m.resolve(found)
                return args[1] if len(args) > 1 else NONE
            if name == "get" and owner.kind == "dict":
                found_any = [v for _, v in owner.items] + ([owner.rest] if owner.rest is not None else [])
                return any_of(m, (*found_any, *(args[1:] or (NONE,))))
            return m.unknown()
        case "keys" if owner.rest is None:
            return Items("list", tuple(Lit(k) for k, _ in owner.items))
        case "values":
            members = [v for _, v in owner.items]
            if owner.rest is None:
                return Items("list", tuple(members))
            item = owner.rest
            for v in members:
                item = join_value(item, v, m.fresh)
            return Many(item)
        case "items":
            if owner.rest is None:
                return Items("list", tuple(Items("tuple", (Lit(k), v)) for k, v in owner.items))
            item = owner.rest
            for _, v in owner.items:
                item = join_value(item, v, m.fresh)
            return Many(Items("tuple", (Unknown("str"), item)))
        case "copy" | "to":
            return owner
        case _:
            return m.unknown()


def _of_string(m: Machine, text: str, name: str, args: list[Value]) -> Value:
    plain = [a.value for a in args if isinstance(a, Lit) and isinstance(a.value, str)]
    match name, plain:
        case (("lower" | "upper" | "strip" | "title"), []):
            return Lit(getattr(text, name)())
        case (("startswith" | "endswith"), [part]):
            return Lit(bool(getattr(text, name)(part)))
        case "split", []:
            return Items("list", tuple(Lit(p) for p in text.split()))
        case "split", [sep] if sep:
            return Items("list", tuple(Lit(p) for p in text.split(sep)))
        case _:
            return Unknown("str")
