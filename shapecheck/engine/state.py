"""What is known at one point of one path: variables, objects, learned sizes and shapes, decisions taken.

Statements fork states at undecided tests; `join` brings two back together, keeping what both say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import is_
from typing import TYPE_CHECKING

from shapecheck.dims import Size, substitute, symbols
from shapecheck.dims.record import record
from shapecheck.engine.values import (
    UNKNOWN,
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
    Partial,
    Ref,
    Shape,
    ShapeOf,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from shapecheck.engine.results import Result

Fresh = Callable[[str], str]
VARIES = "~"  # the hint for a symbol that stands for one size or another


@record
class Instance:
    """An object of a project class. `source`: the result of a plain call that made it (or that it is a part of), and
    by how much its serial number is above that in the result. `changed`: the attributes that were set since."""

    cls: ClassVal
    attrs: dict[str, Value]
    key: str
    source: tuple[Result, int] | None = field(default=None, compare=False, repr=False)
    changed: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def having(self, name: str, value: Value) -> Instance:
        """The object after `self.name = value`; states share objects, so none is ever changed."""
        return Instance(self.cls, {**self.attrs, name: value}, self.key, self.source, self.changed | {name})

    def noting(self, name: str, value: Value) -> Instance:
        """The object once somebody read an attribute that nothing is known of."""
        return Instance(self.cls, {**self.attrs, name: value}, self.key, self.source, self.changed)


@dataclass(slots=True)
class State:
    frames: dict[int, dict[str, Value]] = field(default_factory=dict)
    heap: dict[int, Instance] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)  # free symbol -> what it was learned to be
    shapes: dict[str, Shape] = field(default_factory=dict)  # key of an unknown shape -> what it was learned to be
    narrowed: dict[str, Value] = field(default_factory=dict)  # key of an unknown value -> what a test showed it to be
    path: dict[str, bool] = field(default_factory=dict)  # text of a test -> the branch taken
    axes: dict[int, dict[str, Size]] = field(default_factory=dict)  # activation -> axis names used in its comments
    multiples: dict[str, int] = field(default_factory=dict)  # symbol -> what divides it, since torch raises elsewhere
    _own: set[int] = field(default_factory=set)  # frames that no other state shares

    def copy(self) -> State:
        self._own.clear()
        return State(
            self.frames.copy(),
            self.heap.copy(),
            self.sizes.copy(),
            self.shapes.copy(),
            self.narrowed.copy(),
            self.path.copy(),
            {k: v.copy() for k, v in self.axes.items()},
            self.multiples.copy(),
        )

    def scope(self, frame: int) -> dict[str, Value]:
        """The names of a frame, to write into; `frames` is for reading, since states share them."""
        if frame not in self._own:
            self._own.add(frame)
            self.frames[frame] = dict(self.frames.get(frame, ()))
        return self.frames[frame]

    # ------------------------------------------------------------- resolution

    def size(self, size: Size) -> Size:
        """`size` with all that was learned put in."""
        for _ in range(20):
            if isinstance(size, int) or not self.sizes:
                return size
            known = {n: self.sizes[n] for n in symbols(size) if n in self.sizes}
            if not known:
                return size
            size = substitute(size, known)
        return size

    def axis(self, axis: Axis) -> Axis:
        size = self.size(axis.size)
        layout = axis.layout
        if layout is not None and self.sizes:
            if isinstance(layout, Merged):
                layout = Merged(tuple(self.axis(f) for f in layout.factors))
            elif isinstance(layout, Joined):
                layout = Joined(tuple(self.axis(p) for p in layout.parts))
        if size is axis.size and layout is axis.layout:
            return axis
        return replace(axis, size=size, layout=layout)

    def shape(self, shape: Shape) -> Shape:
        for _ in range(20):
            if not isinstance(shape, Partial):
                break
            learned = self.shapes.get(shape.key) if shape.key is not None else None
            if learned is None or learned is shape:  # some axes of a shape are learned under its own key
                if not self.sizes or not (shape.head or shape.tail):
                    return shape
                return Partial(tuple(map(self.axis, shape.head)), tuple(map(self.axis, shape.tail)), shape.key)
            shape = learned
        if isinstance(shape, Partial):
            return shape
        if not self.sizes:
            return shape
        axes = tuple(map(self.axis, shape))
        return shape if all(map(is_, axes, shape)) else axes

    def tensor(self, value: Tensor) -> Tensor:
        shape = self.shape(value.shape)
        return value if shape is value.shape else replace(value, shape=shape)

    def value(self, value: Value) -> Value:
        kind = type(value)  # asked more often than anything else
        if kind in _AS_THEY_ARE:
            return value
        if kind is Unknown:
            key = value.key  # type: ignore[union-attr]
            if key in self.narrowed:
                return self.value(self.narrowed[key])
            return self.tensor(Tensor(Partial(key=key))) if key in self.shapes else value
        match value:
            case Tensor():
                return self.tensor(value)
            case Num():
                size = self.size(value.size)
                return value if size is value.size else replace(value, size=size)
            case OneOf(key=key) if key in self.narrowed:
                return self.value(self.narrowed[key])
            case Items(items=old):
                items = tuple(map(self.value, old))
                return value if all(map(is_, items, old)) else Items(value.kind, items)
            case Mapping(items=pairs):
                fresh_pairs = tuple((k, self.value(v)) for k, v in pairs)
                if all(x[1] is y[1] for x, y in zip(fresh_pairs, pairs)):
                    return value
                return Mapping(fresh_pairs, value.rest, value.kind)
            case Many():
                length = None if value.length is None else self.size(value.length)
                item = self.value(value.item)
                return value if item is value.item and length is value.length else Many(item, length, value.kind)
            case _:
                return value


# nothing that is learned changes these
_AS_THEY_ARE = frozenset({Bound, ClassVal, Closure, Extern, Layer, Lit, Method, ModuleVal, Ref, ShapeOf})

# ------------------------------------------------------------------------ join


def join_axis(a: Axis, b: Axis, fresh: Fresh) -> Axis:
    from shapecheck.dims import symbol

    if a.size == b.size:
        layout = a.layout if a.layout == b.layout else None
        return replace(a, layout=layout, origin=a.origin or b.origin, role=a.role if a.role == b.role else "")
    return Axis(symbol(fresh(VARIES)))


def join_shape(a: Shape, b: Shape, fresh: Fresh) -> Shape:
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return tuple(join_axis(x, y, fresh) for x, y in zip(a, b))
    if a == b:
        return a
    head, tail = _ends(a, b)
    return Partial(head, tail)


def _ends(a: Shape, b: Shape) -> tuple[tuple[Axis, ...], tuple[Axis, ...]]:
    """The axes that two shapes of different rank share at their beginnings and ends."""
    a_head, a_tail, a_min = _parts(a)
    b_head, b_tail, b_min = _parts(b)
    least = min(a_min, b_min)
    head: list[Axis] = []
    for x, y in zip(a_head, b_head):
        if x.size != y.size or len(head) == least:
            break
        head.append(x)
    tail: list[Axis] = []
    for x, y in zip(reversed(a_tail), reversed(b_tail)):
        if x.size != y.size or len(head) + len(tail) == least:
            break
        tail.append(x)
    return tuple(head), tuple(reversed(tail))


def _parts(s: Shape) -> tuple[tuple[Axis, ...], tuple[Axis, ...], int]:
    if isinstance(s, tuple):
        return s, s, len(s)
    return s.head, s.tail, s.min_rank


def join_value(a: Value, b: Value, fresh: Fresh) -> Value:
    """A value that is right whichever of the two it is."""
    if a is b:
        return a
    match a, b:
        case Tensor(), Tensor():
            same = a.made is b.made or _one_line(a.made, b.made)
            return Tensor(
                join_shape(a.shape, b.shape, fresh),
                a.dtype if a.dtype == b.dtype else None,
                a.made if same else None,
                a.content if a.content == b.content else None,
            )
        case _ if a == b:
            return a
        case Items(), Items() if a.kind == b.kind and len(a.items) == len(b.items):
            return Items(a.kind, tuple(join_value(x, y, fresh) for x, y in zip(a.items, b.items)))
        case ((Items() | Many()), (Items() | Many())) if a.kind == b.kind:
            members = [*_members(a), *_members(b)]
            if not members:
                return Many(UNKNOWN, None, a.kind)
            item = members[0]
            for m in members[1:]:
                item = join_value(item, m, fresh)
            length = a.length if isinstance(a, Many) and isinstance(b, Many) and a.length == b.length else None
            return Many(item, length, a.kind)
        case Mapping(), Mapping():
            keys = dict.fromkeys([k for k, _ in a.items] + [k for k, _ in b.items])
            joined: list[tuple[str, Value]] = []
            for k in keys:
                x, y = a.get(k), b.get(k)
                joined.append((k, Unknown(key=fresh("")) if x is None or y is None else join_value(x, y, fresh)))
            rest = None if a.rest is None and b.rest is None else UNKNOWN
            return Mapping(tuple(joined), rest, a.kind if a.kind == b.kind else "dict")
        case ((Num() | Lit(value=float())), (Num() | Lit(value=float()))):
            return Unknown("int" if isinstance(a, Num) and isinstance(b, Num) else "float", fresh(""))
        case ((Unknown() | Lit() | Num()), (Unknown() | Lit() | Num())) if _number_kind(a) and _number_kind(b):
            return Unknown("float" if "float" in (_number_kind(a), _number_kind(b)) else "int", fresh(""))
        case Unknown(hint="array"), Unknown(hint="array"):
            return Unknown("array", fresh(""))
        case Layer(), Layer() if a.name == b.name:
            return Layer(a.name, tuple((k, join_value(v, w, fresh)) for k, v in a.args if (w := b.arg(k)) is not None))
        case _:
            options = _options(a, b)
            return OneOf(fresh(""), options) if options else Unknown(key=fresh(""))


def _one_line(a: Made | None, b: Made | None) -> bool:
    """Are the two results of one place in the code, of turns of a loop or of ways to it, with the same settings?"""
    if a is None or b is None or a.site.node is not b.site.node or a.spec is not b.spec:
        return False
    if a.args.keys() != b.args.keys():
        return False
    pairs = zip(a.args.values(), b.args.values())
    return all(v is w or v == w or (isinstance(v, _DATA) and isinstance(w, _DATA)) for v, w in pairs)


_DATA = (Tensor, Unknown)


_MOST_OPTIONS = 4


def _options(a: Value, b: Value) -> tuple[Value, ...]:
    """The callables that a or b is, with one unknown thing at most; () where they are not about callables."""
    found: list[Value] = []
    for value in (a, b):
        for option in value.options if isinstance(value, OneOf) else (value,):
            if isinstance(option, Unknown):
                if option.hint or any(isinstance(f, Unknown) for f in found):
                    continue
            elif not isinstance(option, (Closure, Layer, Bound, Extern)):
                return ()
            if option not in found:
                found.append(option)
    named = [f for f in found if not isinstance(f, Unknown)]
    return tuple(found) if named and len(found) <= _MOST_OPTIONS else ()


def _number_kind(v: Value) -> str:
    match v:
        case Unknown(hint="int" | "float" as hint):
            return hint
        case Num():
            return "int"
        case Lit(value=float()):
            return "float"
        case _:
            return ""


def _members(v: Items | Many) -> tuple[Value, ...]:
    return v.items if isinstance(v, Items) else (v.item,)


def join_state(a: State, b: State, fresh: Fresh) -> State:
    """What holds in both states. Values are resolved first, so that facts learned on one path stay in its values."""
    out = State()
    a._own.clear()
    b._own.clear()
    for fid in a.frames.keys() & b.frames.keys():
        x, y = a.frames[fid], b.frames[fid]
        if x is y:
            out.frames[fid] = x
            continue
        out.frames[fid] = {
            n: x[n]
            if n in x and n in y and x[n] is y[n]
            else join_value(a.value(x[n]), b.value(y[n]), fresh)
            if n in x and n in y
            else Unknown(key=fresh(""))
            for n in dict.fromkeys([*x, *y])
        }
    for oid in a.heap.keys() | b.heap.keys():
        p, q = a.heap.get(oid), b.heap.get(oid)
        if p is None or q is None or p is q:
            kept = p or q
            assert kept is not None
            out.heap[oid] = kept
            continue
        attrs: dict[str, Value] = {}
        for n in dict.fromkeys([*p.attrs, *q.attrs]):
            v, w = p.attrs.get(n), q.attrs.get(n)
            if v is None or w is None:
                attrs[n] = v if v is not None else w  # type: ignore[assignment]
            else:
                attrs[n] = v if v is w else join_value(a.value(v), b.value(w), fresh)
        same = attrs.keys() == p.attrs.keys() and all(v is p.attrs[n] for n, v in attrs.items())
        source = p.source if p.source == q.source else None
        out.heap[oid] = p if same else Instance(p.cls, attrs, p.key, source, p.changed | q.changed)
    out.sizes = _common(a.sizes, b.sizes)
    out.shapes = _common(a.shapes, b.shapes)
    out.narrowed = _common(a.narrowed, b.narrowed)
    out.path = _common(a.path, b.path)
    out.multiples = _common(a.multiples, b.multiples)
    for act in a.axes.keys() & b.axes.keys():
        out.axes[act] = _common(a.axes[act], b.axes[act])
    return out


def _common(a: dict, b: dict) -> dict:  # type: ignore[type-arg]
    if a is b:
        return dict(a)
    return {k: v for k, v in a.items() if k in b and b[k] == v}


def same_world(a: State, b: State, frame: int, live: frozenset[str] | None) -> bool:
    """Do the two states differ in nothing that later code could see, save what was learned and decided?

    `live` are the names of `frame` that later code reads (None: any). Two unknowns are alike.
    """
    x, y = a.frames.get(frame, {}), b.frames.get(frame, {})
    names = (x.keys() | y.keys()) if live is None else (x.keys() | y.keys()) & live
    for n in names:
        if not alike(x.get(n, UNKNOWN), y.get(n, UNKNOWN)):
            return False
    for fid in a.frames.keys() & b.frames.keys():
        if fid != frame and not _alike_all(a.frames[fid], b.frames[fid]):
            return False
    return all(v is w or _alike_all(v.attrs, w.attrs) for k, v in a.heap.items() if (w := b.heap.get(k)) is not None)


def _alike_all(x: dict[str, Value], y: dict[str, Value]) -> bool:
    return x is y or (x.keys() == y.keys() and all(v is y[n] or alike(v, y[n]) for n, v in x.items()))


def alike(a: Value, b: Value) -> bool:
    """Equal, or different in nothing that shapes or tests could depend on."""
    if a is b:
        return True
    match a, b:
        case Unknown(), Unknown():
            return a.hint == b.hint
        case Tensor(), Tensor():
            return (
                a.shape == b.shape and a.content == b.content and (a.axes is None or _same_order(a.axes, b.axes or ()))
            )
        case Lit(value=float()), Lit(value=float()):
            return True
        case Items(), Items():
            return a.kind == b.kind and len(a.items) == len(b.items) and all(map(alike, a.items, b.items))
        case Many(), Many():
            return a.kind == b.kind and a.length == b.length and alike(a.item, b.item)
        case OneOf(), OneOf():
            return len(a.options) == len(b.options) and all(map(alike, a.options, b.options))
        case Mapping(), Mapping():
            return len(a.items) == len(b.items) and all(
                k == j and alike(v, w) for (k, v), (j, w) in zip(a.items, b.items)
            )
        case _:
            return a == b


def _same_order(a: tuple[Axis, ...], b: tuple[Axis, ...]) -> bool:
    return all(x.layout == y.layout for x, y in zip(a, b))
