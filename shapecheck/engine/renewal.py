"""What a call was found to give, said of another call: the same values with other names of unknown things."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from shapecheck.dims import Dim, Size, substitute, symbol, symbols
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
    Partial,
    Ref,
    ShapeOf,
    SliceVal,
    Tensor,
    Unknown,
)

if TYPE_CHECKING:
    from shapecheck.engine.library import Tables
    from shapecheck.engine.results import Result

_SERIAL = re.compile(r"(?:\w+\.\w+@|\?)?(\d{10,})")  # with the name of the parameter that an argument was given to

Range = tuple[int, int, int]  # serial numbers above the first, up to the second, are raised by the third


class Renewal:
    """Gives new names to all that one call made. What has nothing to rename stays itself.

    `ranges` say which serial numbers become which. `given` has, for the number of each argument of which nothing was
    known, what the present call has in its place. What `theirs` remembers of a name, `ours` remembers of the new one.
    """

    def __init__(
        self,
        ranges: Sequence[Range],
        given: dict[int, tuple[str, str, Any]],
        theirs: Tables,
        ours: Tables,
        loose: Result | None = None,
    ) -> None:
        self._ranges = ranges
        self._given = given  # number -> (key in the result, key here, value here)
        self._values = {key: value for key, _, value in given.values()}
        self._theirs, self._ours = theirs, ours
        self._loose = loose  # a result whose objects hold others that it was given
        self._done: dict[int, tuple[object, Any]] = {}  # by identity; holds the old things, so that none is used again
        self._texts: dict[str, str] = {}
        self._sizes: dict[Dim, Size] = {}

    def number(self, number: int) -> int:
        for first, last, raised in self._ranges:
            if first < number <= last:
                return number + raised
        return number

    def _serial(self, found: re.Match[str]) -> str:
        number = int(found[1])
        given = self._given.get(number)
        if given is not None:
            return given[1]
        return found[0][: found.start(1) - found.start()] + str(self.number(number))

    def text(self, text: str) -> str:
        """A text that names an unknown thing, or a test of such."""
        new = self._texts.get(text)
        if new is None:
            new = self._texts[text] = _SERIAL.sub(self._serial, text)
            if new != text:
                self._remember(text, new)
        return new

    def _remember(self, old: str, new: str) -> None:
        theirs, ours = self._theirs, self._ours
        if old in theirs.varying:
            ours.varying.add(new)
        if old in theirs.supposed:
            ours.supposed.setdefault(new, theirs.supposed[old])
        if old in theirs.hints:
            ours.hints.setdefault(new, theirs.hints[old])
        if old in theirs.authored:
            ours.authored.setdefault(new, theirs.authored[old])
        if old in theirs.computed:
            ours.computed.setdefault(new, self.size(theirs.computed[old]))
        if old in theirs.counters:
            first, count = theirs.counters[old]
            ours.counters.setdefault(new, (self.size(first), self.size(count)))

    def size(self, size: Size) -> Size:
        if isinstance(size, int):
            return size
        new = self._sizes.get(size)
        if new is None:
            named = {n: symbol(other) for n in symbols(size) if (other := self.text(n)) != n}
            new = self._sizes[size] = substitute(size, named) if named else size
            if named and size in self._theirs.spoken:
                self._ours.spoken.setdefault(new, self._theirs.spoken[size])
        return new

    def __call__(self, thing: Any) -> Any:
        renew = _RENEW.get(type(thing))
        if renew is None:
            return thing
        done = self._done.get(id(thing))
        if done is not None:
            return done[1]
        new = renew(self, thing)
        self._done[id(thing)] = (thing, new)
        return new

    def unknown(self, value: Unknown) -> Any:
        key = value.key
        if key is None:
            return value
        if key in self._values:
            return self._values[key]
        new = self.text(key)
        return value if new == key else Unknown(value.hint, new)

    def tensor(self, t: Tensor) -> Any:
        if t.made is None and isinstance(t.shape, Partial) and t.shape.key in self._values:
            given = self._values[t.shape.key]
            if isinstance(given, Tensor) and not t.shape.min_rank:
                return given
        shape, made, content = self(t.shape), self(t.made), self(t.content)
        if shape is t.shape and made is t.made and content is t.content:
            return t
        return Tensor(shape, t.dtype, made, content)

    def object(self, number: int, i: Instance) -> tuple[int, Instance]:
        """An object with its number."""
        new = self.number(number)
        source = None if i.source is None or i.source[0] is self._loose else (i.source[0], i.source[1] + new - number)
        return new, Instance(self(i.cls), {n: self(v) for n, v in i.attrs.items()}, self.text(i.key), source, i.changed)


def _members(r: Renewal, old: tuple[Any, ...]) -> tuple[Any, ...]:
    new = tuple(map(r, old))
    return old if all(a is b for a, b in zip(old, new)) else new


def _pairs(r: Renewal, old: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    new = tuple((k, r(v)) for k, v in old)
    return old if all(a[1] is b[1] for a, b in zip(old, new)) else new


def _partial(r: Renewal, p: Partial) -> Partial:
    return Partial(_members(r, p.head), _members(r, p.tail), None if p.key is None else r.text(p.key))


def _axis(r: Renewal, a: Axis) -> Axis:
    size, layout = r.size(a.size), r(a.layout)
    return a if size is a.size and layout is a.layout else Axis(size, layout, a.origin, a.role)


def _merged(r: Renewal, m: Merged) -> Merged:
    factors = _members(r, m.factors)
    return m if factors is m.factors else Merged(factors)


def _joined(r: Renewal, j: Joined) -> Joined:
    parts = _members(r, j.parts)
    return j if parts is j.parts else Joined(parts)


def _made(r: Renewal, m: Made) -> Made:
    args, activation = {k: r(v) for k, v in m.args.items()}, r.number(m.activation)
    if activation == m.activation and all(v is m.args[k] for k, v in args.items()):
        return m
    return Made(m.spec, args, m.site, activation)


def _num(r: Renewal, n: Num) -> Num:
    size, origin, of, ratio = r.size(n.size), n.origin, r(n.of), r(n.ratio)
    if size is n.size and of is n.of and ratio is n.ratio:
        return n
    return Num(size, origin, of, n.at, ratio)


def _items(r: Renewal, i: Items) -> Items:
    items = _members(r, i.items)
    return i if items is i.items else Items(i.kind, items)


def _many(r: Renewal, m: Many) -> Many:
    return Many(r(m.item), None if m.length is None else r.size(m.length), m.kind)


def _mapping(r: Renewal, m: Mapping) -> Mapping:
    items, rest = _pairs(r, m.items), r(m.rest)
    return m if items is m.items and rest is m.rest else Mapping(items, rest, m.kind)


def _closure(r: Renewal, c: Closure) -> Closure:
    own, owner, frame = r(c.self_value), r(c.owner), r.number(c.frame)
    if own is c.self_value and owner is c.owner and frame == c.frame:
        return c
    return Closure(c.node, c.path, frame, own, owner, c.decorators)


def _class(r: Renewal, c: ClassVal) -> ClassVal:
    frame = r.number(c.frame)
    return c if frame == c.frame else ClassVal(c.node, c.path, frame)


_RENEW: dict[type, Callable[[Renewal, Any], Any]] = {
    tuple: _members,
    list: lambda r, old: [r(x) for x in old],
    dict: lambda r, old: {k: r(v) for k, v in old.items()},
    Dim: Renewal.size,
    Tensor: Renewal.tensor,
    Partial: _partial,
    Axis: _axis,
    Merged: _merged,
    Joined: _joined,
    Made: _made,
    Affine: lambda r, a: Affine(r.size(a.offset), r.size(a.stride)),
    Num: _num,
    Unknown: Renewal.unknown,
    Items: _items,
    Many: _many,
    Mapping: _mapping,
    ShapeOf: lambda r, s: ShapeOf(r(s.tensor)) if isinstance(r(s.tensor), Tensor) else r(s.tensor),
    SliceVal: lambda r, s: SliceVal(r(s.lower), r(s.upper), r(s.step)),
    Layer: lambda r, y: Layer(y.name, _pairs(r, y.args), r.text(y.key)),
    Method: lambda r, m: Method(r(m.owner), m.name),
    Closure: _closure,
    Bound: lambda r, b: Bound(r(b.func), _members(r, b.args), _pairs(r, b.kwargs)),
    OneOf: lambda r, o: OneOf(r.text(o.key), _members(r, o.options)),
    ClassVal: _class,
    Ref: lambda r, ref: Ref(r.number(ref.id)),
}
