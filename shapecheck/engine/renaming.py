"""What one call found, said of another call that differs from it only in which unknown things it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from shapecheck.dims import Dim, Size, Verdict, substitute, symbol, symbols
from shapecheck.engine.facts import Contract, Declared, Fact, Frame, Learned
from shapecheck.engine.forms import SERIAL, split
from shapecheck.engine.state import Instance
from shapecheck.engine.values import (
    Affine,
    Axis,
    Bound,
    ClassVal,
    Closure,
    Items,
    Joined,
    Layer,
    Made,
    Many,
    Mapping,
    Merged,
    Method,
    Num,
    OneOf,
    Origin,
    Partial,
    Ref,
    ShapeOf,
    Site,
    SliceVal,
    Tensor,
    Unknown,
)


class Renaming:
    """Gives to everything that a call made a copy for another call. What has nothing to rename stays itself.

    `number` says which serial number stands for another one; `objects` has, by identity, what stands for pieces of
    history that went into the call; `sites` likewise for the place of the call.
    """

    def __init__(
        self, number: Callable[[int], int], objects: Iterable[tuple[object, object]], sites: dict[int, Site]
    ) -> None:
        self.number = number
        self._sites = sites
        # by identity; holds the old things too, so that no identity is used again
        self._done: dict[int, tuple[object, Any]] = {id(old): (old, new) for old, new in objects}
        self._texts: dict[str, str] = {}
        self._sizes: dict[Dim, Size] = {}

    def text(self, text: str) -> str:
        """A text that names an unknown thing."""
        found = self._texts.get(text)
        if found is None:
            found = text
            if split(text)[1]:
                found = SERIAL.sub(lambda m: m[0][: m.start(1) - m.start()] + str(self.number(int(m[1]))), text)
            self._texts[text] = found
        return found

    def size(self, size: Size) -> Size:
        if isinstance(size, int):
            return size
        found = self._sizes.get(size)
        if found is None:
            named = {n: symbol(new) for n in symbols(size) if (new := self.text(n)) != n}
            found = self._sizes[size] = substitute(size, named) if named else size
        return found

    def __call__(self, thing: Any) -> Any:
        done = self._done.get(id(thing))
        if done is not None:
            return done[1]
        rename = _RENAME.get(type(thing))
        if rename is None:
            return thing
        new = rename(self, thing)
        self._done[id(thing)] = (thing, new)
        return new

    def site(self, site: Site) -> Site:
        return self._sites.get(id(site.node), site)

    def fact(self, fact: Fact, stack: tuple[Frame, ...], path: tuple[tuple[str, bool], ...]) -> Fact:
        values: dict[str, Any] = {name: self(getattr(fact, name)) for name in _own_fields(type(fact))}
        if isinstance(fact, Learned):
            values["symbol"] = self.text(fact.symbol)
        return type(fact)(
            **values, site=self.site(fact.site), stack=stack, activation=self.number(fact.activation), path=path
        )


_OWN_FIELDS: dict[type, tuple[str, ...]] = {}


def _own_fields(kind: type[Fact]) -> tuple[str, ...]:
    found = _OWN_FIELDS.get(kind)
    if found is None:
        shared = {f.name for f in fields(Fact)}
        found = _OWN_FIELDS[kind] = tuple(f.name for f in fields(kind) if f.name not in shared)
    return found


def _members(r: Renaming, old: tuple[Any, ...]) -> tuple[Any, ...]:
    new = tuple(map(r, old))
    return old if all(a is b for a, b in zip(old, new)) else new


def _pairs(r: Renaming, old: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    new = tuple((k, r(v)) for k, v in old)
    return old if all(a[1] is b[1] for a, b in zip(old, new)) else new


def _dict(r: Renaming, old: dict[Any, Any]) -> dict[Any, Any]:
    """Always a copy: later code may add to it."""
    return {k: r(v) for k, v in old.items()}


def _tensor(r: Renaming, t: Tensor) -> Tensor:
    shape, made, content = r(t.shape), r(t.made), r(t.content)
    return t if shape is t.shape and made is t.made and content is t.content else Tensor(shape, t.dtype, made, content)


def _partial(r: Renaming, p: Partial) -> Partial:
    return Partial(_members(r, p.head), _members(r, p.tail), None if p.key is None else r.text(p.key))


def _axis(r: Renaming, a: Axis) -> Axis:
    size, layout, origin = r.size(a.size), r(a.layout), r(a.origin)
    return a if size is a.size and layout is a.layout and origin is a.origin else Axis(size, layout, origin, a.role)


def _merged(r: Renaming, m: Merged) -> Merged:
    factors = _members(r, m.factors)
    return m if factors is m.factors else Merged(factors)


def _joined(r: Renaming, j: Joined) -> Joined:
    parts = _members(r, j.parts)
    return j if parts is j.parts else Joined(parts)


def _origin(r: Renaming, o: Origin) -> Origin:
    site = None if o.site is None else r.site(o.site)
    return o if site is o.site else Origin(o.text, site, o.assumption)


def _made(r: Renaming, m: Made) -> Made:
    activation = r.number(m.activation)
    # what was made before the call is either in `objects` or has nothing to do with what it was given
    return m if activation == m.activation else Made(m.spec, r(m.args), r.site(m.site), activation)


def _num(r: Renaming, n: Num) -> Num:
    size, origin, of, ratio = r.size(n.size), r(n.origin), r(n.of), r(n.ratio)
    if size is n.size and origin is n.origin and of is n.of and ratio is n.ratio:
        return n
    return Num(size, origin, of, n.at, ratio)


def _unknown(r: Renaming, u: Unknown) -> Unknown:
    return u if u.key is None else Unknown(u.hint, r.text(u.key))


def _items(r: Renaming, i: Items) -> Items:
    items = _members(r, i.items)
    return i if items is i.items else Items(i.kind, items)


def _many(r: Renaming, m: Many) -> Many:
    return Many(r(m.item), None if m.length is None else r.size(m.length), m.kind)


def _mapping(r: Renaming, m: Mapping) -> Mapping:
    items, rest = _pairs(r, m.items), r(m.rest)
    return m if items is m.items and rest is m.rest else Mapping(items, rest, m.kind)


def _layer(r: Renaming, y: Layer) -> Layer:
    return Layer(y.name, _pairs(r, y.args), r.text(y.key))


def _closure(r: Renaming, c: Closure) -> Closure:
    own, owner, frame = r(c.self_value), r(c.owner), r.number(c.frame)
    if own is c.self_value and owner is c.owner and frame == c.frame:
        return c
    return Closure(c.node, c.path, frame, own, owner, c.decorators)


def _class(r: Renaming, c: ClassVal) -> ClassVal:
    frame = r.number(c.frame)
    return c if frame == c.frame else ClassVal(c.node, c.path, frame)


def _instance(r: Renaming, i: Instance) -> Instance:
    return Instance(r(i.cls), _dict(r, i.attrs), r.text(i.key))


def _declared(r: Renaming, d: Declared) -> Declared:
    sizes = tuple(None if s is None else r.size(s) for s in d.sizes)
    return Declared(d.source, d.text, d.axes, sizes, r.site(d.site), d.variadic)


_RENAME: dict[type, Callable[[Renaming, Any], Any]] = {
    tuple: _members,
    list: lambda r, old: [r(x) for x in old],
    dict: _dict,
    Dim: Renaming.size,
    Tensor: _tensor,
    Partial: _partial,
    Axis: _axis,
    Merged: _merged,
    Joined: _joined,
    Origin: _origin,
    Made: _made,
    Affine: lambda r, a: Affine(r.size(a.offset), r.size(a.stride)),
    Num: _num,
    Unknown: _unknown,
    Items: _items,
    Many: _many,
    Mapping: _mapping,
    ShapeOf: lambda r, s: ShapeOf(r(s.tensor)),
    SliceVal: lambda r, s: SliceVal(r(s.lower), r(s.upper), r(s.step)),
    Layer: _layer,
    Method: lambda r, m: Method(r(m.owner), m.name),
    Closure: _closure,
    Bound: lambda r, b: Bound(r(b.func), _members(r, b.args), _pairs(r, b.kwargs)),
    OneOf: lambda r, o: OneOf(r.text(o.key), _members(r, o.options)),
    ClassVal: _class,
    Ref: lambda r, ref: Ref(r.number(ref.id)),
    Instance: _instance,
    Site: Renaming.site,
    Frame: lambda r, f: Frame(r.site(f.site), r.number(f.activation), f.name),
    Verdict: lambda r, v: (
        Verdict(v.kind, tuple((r.size(a), r.size(b)) for a, b in v.condition), v.proven) if v.condition else v
    ),
    Declared: _declared,
    Contract: lambda r, c: r.fact(c, _members(r, c.stack), tuple((r.text(t), o) for t, o in c.path)),
}
