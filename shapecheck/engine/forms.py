"""What a value looks like when the serial numbers of unknown things are taken out of it.

Two values of equal form differ only in which unknown stands where; `leaves` lists, in the order of their places, what
was taken out: texts that name unknown things (their numbers differ), numbers of objects, and pieces of history.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shapecheck.dims import Size, Symbol
from shapecheck.engine import ranks
from shapecheck.engine.globals import Imported, Later
from shapecheck.engine.state import Instance
from shapecheck.engine.values import (
    Affine,
    Axis,
    Bound,
    ClassVal,
    Closure,
    Extern,
    Items,
    Joined,
    Layer,
    Lit,
    Made,
    Many,
    Mapping,
    Merged,
    Method,
    ModuleVal,
    Num,
    OneOf,
    Origin,
    Partial,
    Ref,
    Shape,
    ShapeOf,
    SliceVal,
    Tensor,
    Unknown,
)
from shapecheck.source.program import Node

SERIAL = re.compile(r"(?:[?#@]|\blayer |\bobject )(\d+)")
_MAX_KEPT = 20_000

Form = tuple[tuple[Any, ...], tuple[Any, ...]]  # tokens, leaves
_NONE: Form = (("-",), ())


class Formless(Exception):
    """There is no telling what this value depends on."""


@dataclass(frozen=True, slots=True)
class Within:
    """A definition inside a function: it sees the names of that frame, and of those around it."""

    node: Node
    frame: int


@lru_cache(1 << 14)
def split(text: str) -> tuple[str, tuple[int, ...]]:
    """The text with its serial numbers taken out, and these."""
    numbers = tuple(map(int, SERIAL.findall(text)))
    return (SERIAL.sub(_blank, text) if numbers else text), numbers


def _blank(match: re.Match[str]) -> str:
    return match[0][: match.start(1) - match.start()] + "·"


@lru_cache(1 << 13)
def of_size(size: Size) -> Form:
    if isinstance(size, int):
        return (size,), ()
    tokens: list[Any] = []
    leaves: list[str] = []
    for monomial, c in size.terms:
        tokens.append(c)
        for f, e in monomial:
            if isinstance(f, Symbol):
                tokens += (e, split(f.name)[0])
                leaves.append(f.name)
            else:
                tokens += (e, type(f).__name__)
                for part in (f.a, f.b):
                    inner = of_size(part)
                    tokens.append(inner[0])
                    leaves += inner[1]
    return (tuple(tokens),), tuple(leaves)


class Forms:
    """Forms of values, remembered: values never change."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Any, Form]] = {}  # by identity, with the value so that it stays the only one

    def of(self, value: Any) -> Form:
        """Raises Formless."""
        found = self._kept.get(id(value))
        if found is not None:
            return found[1]
        form = self._of(value)
        if len(self._kept) > _MAX_KEPT:
            self._kept.clear()
        self._kept[id(value)] = (value, form)
        return form

    def _with(self, kind: Any, *parts: Any) -> Form:
        return _together(kind, *map(self.of, parts))

    def _of(self, value: Any) -> Form:
        match value:
            case None:
                return _NONE
            case Tensor(shape=shape, dtype=dtype, made=made, content=content):
                # of a tensor of unknown rank the engine asks what made it
                asked = made is not None and isinstance(shape, Partial)
                history = self._asked(made) if asked else self.of(made)  # type: ignore[arg-type]
                return _together(("T", dtype), self.shape(shape), history, self.of(content))
            case Num(size=size, origin=origin, of=of, at=at, ratio=ratio):
                return _together(("N", at), of_size(size), self.of(origin), self.of(of), _whole(ratio))
            case Unknown(hint=hint, key=key):
                return (("U", hint, None), ()) if key is None else (("U", hint, split(key)[0]), (key,))
            case Lit(value=held):
                return ("L", type(held).__name__, repr(held)), ()
            case Items(kind=kind, items=items):
                return self._with(("I", kind), *items)
            case Many(item=item, length=length, kind=kind):
                return _together(("M", kind), self.of(item), _NONE if length is None else of_size(length))
            case Mapping(items=pairs, rest=rest, kind=kind):
                return self._with(("D", kind, *(k for k, _ in pairs)), rest, *(v for _, v in pairs))
            case Layer(name=name, args=args, key=key):
                return _together(("Y", name, *(k for k, _ in args)), _named(key), *(self.of(v) for _, v in args))
            case Ref(id=number):
                return ("R",), (number,)
            case Extern(name=name):
                return ("E", name), ()
            case Method(owner=owner, name=name):
                return self._with(("Method", name), owner)
            case Closure(node=node, path=path, frame=frame, self_value=own, owner=owner, decorators=decorators):
                outside = (("in",), (Within(node, frame),)) if frame else _NONE
                return _together(("C", id(node), path, decorators), self.of(own), self.of(owner), outside)
            case ClassVal(node=node, path=path, frame=frame):
                return ("K", id(node), path), ((Within(node, frame),) if frame else ())
            case Imported(module=module, attr=attr, level=level, importer=importer):
                return ("import", module, attr, level, importer), ()
            case Later(path=path, stmt=stmt):
                return ("later", path, id(stmt)), ()
            case Bound(func=func, args=args, kwargs=kwargs):
                return self._with(("B", len(args), *(k for k, _ in kwargs)), func, *args, *(v for _, v in kwargs))
            case OneOf(key=key, options=options):
                return _together(("one", len(options)), _named(key), *map(self.of, options))
            case ModuleVal(path=path, name=name):
                return ("Module", path, name), ()
            case ShapeOf(tensor=tensor):
                return self._with("S", tensor)
            case SliceVal(lower=lower, upper=upper, step=step):
                return self._with("Slice", lower, upper, step)
            case Instance(cls=cls, attrs=attrs, key=key):
                return _together(("O", *attrs), self.of(cls), _named(key), *map(self.of, attrs.values()))
            case Made(op=op):
                return ("made", op), (value,)
            case Origin():
                return ("from",), (value,)
            case Affine(offset=offset, stride=stride):
                return _together("A", of_size(offset), of_size(stride))
        raise Formless

    def _asked(self, made: Made) -> Form:
        return _together("asked", self.of(made), *map(self._argument, ranks.looked_at(made)))

    def _argument(self, value: Any) -> Form:
        match value:
            case None | bool() | int() | float() | str():
                return ("raw", repr(value)), ()
            case tuple():
                return _together("several", *map(self._argument, value))
            case _:
                return self.of(value)

    def shape(self, shape: Shape) -> Form:
        if isinstance(shape, Partial):
            key = _NONE if shape.key is None else _named(shape.key)
            return _together("partial", key, self._axes(shape.head), self._axes(shape.tail))
        return self._axes(shape)

    def _axes(self, axes: tuple[Axis, ...]) -> Form:
        tokens: list[Any] = []
        leaves: list[Any] = []
        for a in axes:
            size = of_size(a.size)
            tokens += (size[0], a.role, a.origin is None)
            leaves += size[1]
            if a.origin is not None:
                leaves.append(a.origin)
            match a.layout:
                case Merged(factors=inner) | Joined(parts=inner):
                    more = self._axes(inner)
                    tokens += (type(a.layout).__name__, more[0])
                    leaves += more[1]
        return tuple(tokens), tuple(leaves)


def _together(kind: Any, *forms: Form) -> Form:
    return (kind, *(tokens for tokens, _ in forms)), tuple(leaf for _, leaves in forms for leaf in leaves)


def _named(key: str) -> Form:
    return (split(key)[0],), (key,)


def _whole(thing: object | None) -> Form:
    return _NONE if thing is None else (("whole",), (thing,))
