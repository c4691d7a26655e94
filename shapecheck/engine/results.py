"""Plain calls: those whose arguments bring nothing that the function's own text does not tell.

An argument is plain when nothing is known of it, or when it is a flag, a word, a number, a function or class of some
module, or an object that still is what a plain call made of it. Calls with the same flags have one result:
the body is run once, on unknown arguments, and each caller gets the result with its own names. So cost grows with the
functions of a project, not with its calls; entering is for calls that bring a shape, a size or a changed object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shapecheck.dims import symbol
from shapecheck.engine.globals import refs_in
from shapecheck.engine.library import Tables
from shapecheck.engine.modules import set_later
from shapecheck.engine.renewal import Range, Renewal
from shapecheck.engine.state import Instance, State
from shapecheck.engine.values import (
    NONE,
    Assumption,
    ClassVal,
    Closure,
    Extern,
    Items,
    Lit,
    Many,
    Mapping,
    ModuleVal,
    Num,
    Partial,
    Ref,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.source.program import Const, Function, Lambda, Node, walk

if TYPE_CHECKING:
    from shapecheck.engine.control import Ends
    from shapecheck.engine.machine import Machine

SHORT = 300  # steps
MOST = 12  # members of a container that are looked at
NESTED = 12  # results in the making inside each other
Giving = tuple[tuple[str, str, Value], ...]  # key of the unknown argument in the result, key and value of a present one


@dataclass(slots=True, eq=False)
class Change:
    """What a call changed of what is known: by the names of `State`'s fields."""

    frames: dict[int, dict[str, Value]] = field(default_factory=dict)
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)
    heap: dict[int, Instance] = field(default_factory=dict)
    sizes: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, Any] = field(default_factory=dict)
    narrowed: dict[str, Value] = field(default_factory=dict)
    path: dict[str, bool] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Result:
    """What a plain call gives: its different ends, in the names of the one run. `holes` are the unknown arguments:
    their serial numbers and keys."""

    first: int  # serial numbers: those above `first` up to `last` were given out by the run
    last: int = 0
    holes: tuple[tuple[int, str], ...] = ()
    ends: list[tuple[Change, Value]] = field(default_factory=list)
    tables: Tables = field(default_factory=Tables)
    receiver: int = 0  # of a class: the number of its instance
    before: State | None = None  # what was known when the body began
    parts: dict[int, tuple[int, ...]] = field(default_factory=dict)  # object -> those that it holds
    assumed: dict[Assumption, None] = field(default_factory=dict)  # what was taken for granted for it
    # few steps make its tensors: it is entered all the same, so that their history is known
    short: bool = False


@dataclass(slots=True, eq=False)
class Making:
    """A result in the making. `rests_on`: the outermost of those in the making that something in it asked for."""

    key: Any
    rests_on: int


class NotPlain(Exception):
    """The call brings something."""


# --------------------------------------------------------------------- looking


class Look:
    """What identifies a plain call: `tokens`; and what it has in the places where nothing is known: `leaves`."""

    def __init__(self, m: Machine, function: Function) -> None:
        self.m = m
        self.words = words_of(m, function)
        self.leaves: list[Value] = []
        self.names: list[str] = []  # of the parameters that they are given to
        self.parameter = "self"
        self.seen: set[int] = set()
        self.speaks = False  # is there a flag, a word, a number or a function, which the function's own run lacks
        self.keys: dict[str, int] = {}  # key of an unknown thing -> its turn
        self.objects: dict[Result, int] = {}  # by how much the numbers of a result's objects are raised here
        self.changed: list[tuple[int, str, Value]] = []  # attributes that were set since: number in the result, name
        self.own = False  # does it concern the file under analysis

    def token(self, value: Value) -> Any:
        """Raises NotPlain."""
        match value:
            case Unknown(key=key):
                return ("?", self._turn(value, key))
            case Tensor(shape=Partial(head=(), tail=(), key=key), content=None):
                return ("T", value.dtype, self._turn(value, key))
            case Lit(value=str(v)) if v not in self.words:
                return ("?", self._turn(value, None))
            case Lit(value=float()):
                return ("?", self._turn(value, None))
            case Lit(value=None | bool() | str() as v):
                self.speaks = True
                return ("=", type(v), v)
            case Num(size=int(n)):
                self.speaks = True
                return ("=", int, n)
            case Many(item=Unknown(), length=None, kind=kind) if kind in ("list", "tuple", "set", "generator"):
                return ("?", self._turn(value, None))
            case Extern(name=name):
                self.speaks = True
                return ("E", name)
            case Items(kind=kind, items=items) if len(items) <= MOST:
                return (kind, *map(self.token, items))
            case Many(item=item, length=length, kind=kind) if length is None or isinstance(length, int):
                return ("M", kind, length, self.token(item))
            case Mapping(items=pairs, rest=rest, kind=kind) if len(pairs) <= MOST:
                inner = tuple((name, self.token(v)) for name, v in pairs)
                return ("D", kind, inner, None if rest is None else self.token(rest))
            case Ref():
                return self._object(value.id)
            case Closure(frame=0):
                self.speaks = True
                return self.function(value)
            case ClassVal(frame=0):
                self.concerns(value.path)
                return value
            case ModuleVal():
                return value
        raise NotPlain

    def given(self, value: Value, parameter: str) -> Any:
        self.parameter = parameter
        return self.token(value)

    def function(self, closure: Closure) -> Any:
        self.concerns(closure.path)
        if closure.frame or (closure.owner is not None and closure.owner.frame):
            raise NotPlain
        receiver = closure.self_value
        return (closure.node, closure.owner, None if receiver is None else self.token(receiver))

    def concerns(self, path: str) -> None:
        self.own = self.own or path == self.m.path

    def _turn(self, value: Value, key: str | None) -> int:
        if key is not None and key in self.keys:
            return self.keys[key]
        turn = len(self.leaves)
        self.leaves.append(value)
        self.names.append(self.parameter)
        if key is not None:
            self.keys[key] = turn
        return turn

    def _object(self, number: int) -> Any:
        obj = self.m.state.heap.get(number)
        if obj is None or obj.source is None:
            raise NotPlain
        result, raised = obj.source
        if self.objects.setdefault(result, raised) != raised:
            raise NotPlain  # two objects of one result: which is which could not be told
        self.concerns(obj.cls.path)
        return (result, number - raised, *self._since(number - raised, result, raised))

    def _since(self, number: int, result: Result, raised: int) -> Iterator[Any]:
        """What was set of the object, and of all that it holds, since a plain call had this result."""
        if number in self.seen:
            return
        self.seen.add(number)
        within = result.first < number <= result.last
        obj = self.m.state.heap.get(number + raised if within else number)
        if obj is None:
            return
        if obj.source is None:
            raise NotPlain
        if within:
            before = result.ends[0][0].heap.get(number)
            for name in sorted(obj.changed if before is None else obj.changed - before.changed):
                value = self.m.resolve(obj.attrs[name])
                if isinstance(value, Unknown) and before is not None and isinstance(before.attrs.get(name), Unknown):
                    continue  # no more is known of it than before
                self.changed.append((number, name, value))
                yield number, name, self.token(value)
        elif obj.changed:
            raise NotPlain
        for part in result.parts.get(number, ()):
            yield from self._since(part, result, raised)


def plain_call(
    m: Machine, closure: Closure, args: list[Value], kwargs: dict[str, Value], node: Node, new: ClassVal | None = None
) -> Callable[[], Ends] | None:
    """What gives the ends of this call, if it is plain. `new`: the class whose `__init__` this is; the ends then have
    its instance for a value."""
    if m.shallow or m.closed or not isinstance(closure.node, Function):
        return None
    look = Look(m, closure.node)
    args, kwargs = _by_name(closure.node, args, kwargs)
    try:
        what = look.function(closure)
        if new is not None:
            if new.frame:
                return None
            look.concerns(new.path)
        tokens = tuple([look.given(v, "more") for v in args])
        named = tuple([(name, look.given(v, name)) for name, v in kwargs.items()])
    except NotPlain:
        return None
    result = _result(m, look, (what, new, tokens, named), closure, args, kwargs, node, new)
    if result is None:
        return lambda: [([m.state], m.unknown() if new is None else blank(m, new))]
    return None if result.short else lambda: _ends(m, look, result)


def words_of(m: Machine, function: Function) -> frozenset[str]:
    """The texts that a function compares things with, or looks up: other texts that it is given make no difference."""
    known = m.shared.texts.words
    found = known.get(function)
    if found is None:
        texts = (n.value for n in walk(function) if isinstance(n, Const) and isinstance(n.value, str))
        found = known[function] = frozenset(texts)
    return found


def _by_name(function: Function, args: list[Value], kwargs: dict[str, Value]) -> tuple[list[Value], dict[str, Value]]:
    """The same call with its arguments by name, in the order of the parameters, without those that say what the
    default says."""
    params = function.params
    first = 1 if params and params[0].name in ("self", "cls") else 0
    few = len(args) <= len(params) - first
    if not few or not _NAMED.issuperset(p.kind for p in params) or not _LOOSE.isdisjoint(kwargs):
        return args, kwargs
    given = dict(zip((p.name for p in params[first:]), args)) | kwargs
    named = {
        p.name: value
        for p in params
        if (value := given.pop(p.name, None)) is not None
        and not (isinstance(p.default, Const) and _says(value, p.default.value))
    }
    return [], named | given


_NAMED = frozenset({"any", "kw", "**"})
_LOOSE = frozenset({"*", "**"})


def _says(value: Value, default: Any) -> bool:
    match value:
        case Lit(value=v) | Num(size=v):
            return type(v) is type(default) and bool(v == default)
        case _:
            return False


def _result(
    m: Machine,
    look: Look,
    key: Any,
    closure: Closure,
    args: list[Value],
    kwargs: dict[str, Value],
    node: Node,
    new: ClassVal | None,
) -> Result | None:
    library = m.own if look.own else m.shared.library
    m.tick()

    def run(child: Machine, result: Result) -> list[tuple[State, Value]]:
        child.quiet += not look.speaks  # the function's own run finds the same
        fill = _Filling(child, look, result, closure.node)
        own: Value | None = None
        if new is not None:
            own = blank(child, new, result)
        elif closure.self_value is not None:
            own = fill(closure.self_value)
        func = Closure(closure.node, closure.path, closure.frame, own, closure.owner, closure.decorators)
        given = [fill(v) for v in args]
        named = {name: fill(v) for name, v in kwargs.items()}
        for number, name, value in look.changed:
            held = child.state.heap.get(number)
            if held is not None:  # else it is out of the function's sight
                child.state.heap[number] = held.having(name, fill(value))
        result.before, result.holes = child.state.copy(), tuple(fill.holes)
        ends = child.run_alone(func, given, named, node, m.here.path)
        return ends if new is None or own is None else [(state, own) for state, _ in ends]

    return _known(m, library, key, look.own, run)


def _ends(m: Machine, look: Look, result: Result) -> Ends:
    m.tick(sum(map(_weight, (change for change, _ in result.ends))))
    raised = m.serials.last - result.first
    m.serials.last += result.last - result.first
    ranges: list[Range] = [(result.first, result.last, raised)]
    ranges += [(r.first, r.last, by) for r, by in look.objects.items() if by]
    return list(_given(m, result, ranges, look.leaves, alone=not look.objects))


def _weight(change: Change) -> int:
    """What it costs to say a result again, in steps: a caller that keeps many objects pays for each of them."""
    return (len(change.sizes) + len(change.narrowed) + sum(2 + len(o.attrs) for o in change.heap.values())) // 2


def blank(m: Machine, cls: ClassVal, result: Result | None = None) -> Ref:
    """A new instance, of which nothing is set."""
    ref = Ref(m.serial())
    m.state.heap[ref.id] = Instance(cls, {}, f"{cls.node.name}#{ref.id}")
    if result is not None:
        result.receiver = ref.id
    return ref


class _Filling:
    """Puts unknown things of the result's own in the places where nothing is known."""

    def __init__(self, child: Machine, look: Look, result: Result, function: Function | Lambda) -> None:
        assert isinstance(function, Function)
        self.child, self.look = child, look
        self.holes: list[tuple[int, str]] = []
        self.made: list[Value] = []
        for name, leaf in zip(look.names, look.leaves):
            number = child.serial()
            key = f"{function.name}.{name if name.isidentifier() else 'more'}@{number}"
            self.holes.append((number, key))
            if isinstance(leaf, Tensor):
                self.made.append(Tensor(Partial(key=key), leaf.dtype))
            else:
                self.made.append(Unknown("str" if isinstance(leaf, Lit) and isinstance(leaf.value, str) else "", key))
        for source in look.objects:
            _restore(child, source)
        self._nameless: dict[int, list[Value]] = {}  # by identity of what is there
        for made, leaf in zip(self.made, look.leaves):
            if _key(leaf) is None:
                self._nameless.setdefault(id(leaf), []).append(made)

    def _next(self, value: Value) -> Value:
        return self._nameless[id(value)].pop(0)

    def __call__(self, value: Value) -> Value:
        match value:
            case Unknown(key=key) | Tensor(shape=Partial(key=key)):
                return self._next(value) if key is None else self.made[self.look.keys[key]]
            case Lit(value=str() | float() as v) if v not in self.look.words:
                return self._next(value)
            case Many(item=Unknown(), length=None, kind="list" | "tuple" | "set" | "generator"):
                return self._next(value)
            case Items(kind=kind, items=items):
                return Items(kind, tuple(map(self, items)))
            case Many(item=item, length=length, kind=kind):
                return Many(self(item), length, kind)
            case Mapping(items=pairs, rest=rest, kind=kind):
                return Mapping(tuple((k, self(v)) for k, v in pairs), None if rest is None else self(rest), kind)
            case Ref(id=number):
                obj = self.look.m.state.heap[number]
                assert obj.source is not None
                return Ref(number - obj.source[1])
            case Closure() if value.self_value is not None:
                own = self(value.self_value)
                return Closure(value.node, value.path, value.frame, own, value.owner, value.decorators)
            case _:
                return value


def _key(leaf: Value) -> str | None:
    if isinstance(leaf, Unknown):
        return leaf.key
    return leaf.shape.key if isinstance(leaf, Tensor) and isinstance(leaf.shape, Partial) else None


def _restore(child: Machine, source: Result) -> None:
    """What is known where a result's objects were just made."""
    for change, _ in source.ends[:1]:
        state = child.state
        state.frames.update(change.frames)
        child.frame_parents.update(change.parents)
        state.heap.update(change.heap)
        state.sizes.update(change.sizes)
        state.shapes.update(change.shapes)
        state.narrowed.update(change.narrowed)
        state.path.update(change.path)
    if source.tables is not child.tables:
        child.tables.varying |= source.tables.varying
        for name in ("authored", "hints", "computed", "spoken", "counters", "supposed"):
            known = getattr(child.tables, name)
            for key, value in getattr(source.tables, name).items():
                known.setdefault(key, value)


# ---------------------------------------------------------------------- making


def _known(
    m: Machine, library: Any, key: Any, loud: bool, run: Callable[[Machine, Result], list[tuple[State, Value]]]
) -> Result | None:
    """The result by this key; made where it is asked for first. None where it can't be had: a call inside itself.

    A result that was made inside another one which it needs is good for that one alone.
    """
    found = library.results.get(key)
    if found is not None:
        return found  # type: ignore[no-any-return]
    making, for_now = m.shared.making, m.shared.for_now
    waiting = for_now.get(key)
    if waiting is not None:
        making[-1].rests_on = min(making[-1].rests_on, waiting[1])
        return waiting[0]
    inside = next((i for i, other in enumerate(making) if other.key == key), None)
    if inside is None and len(making) >= NESTED:
        inside = 0
    if inside is not None:
        making[-1].rests_on = min(making[-1].rests_on, inside)
        return None
    at = len(making)
    mine = Making(key, at)
    making.append(mine)
    try:
        result = _make(m, loud, run)
    finally:
        making.pop()
        for other, (_, rests_on) in list(for_now.items()):
            if rests_on >= at:
                del for_now[other]
    if mine.rests_on < at:
        for_now[key] = result, mine.rests_on
        making[-1].rests_on = min(making[-1].rests_on, mine.rests_on)
    else:
        library.results[key] = result
    return result


def _make(m: Machine, loud: bool, run: Callable[[Machine, Result], list[tuple[State, Value]]]) -> Result:
    child = m.child(loud=loud)
    child.site = m.site
    result = Result(child.serials.last, tables=child.tables)
    child.state = State(heap=dict(m.own.heap) if loud else {})
    try:
        ends = run(child, result)
    except Exception as error:  # what was set until then stands
        child.broken_off(error, "a call")
        m.shared.unfinished += 1
        ends = [(child.state, Ref(result.receiver) if result.receiver else child.unknown())]
    if result.before is not None:
        result.ends = [(change_of(child, result.before, state, result), value) for state, value in ends]
        result.before = None
    result.last = child.serials.last
    result.assumed = child.supposing.taken
    _note_parts(result)
    result.short = child.entry_steps <= SHORT and any(_remembers(value) for _, value in result.ends)
    if loud and not result.short:
        m.of_calls += child.facts.items
        m.of_calls += child.of_calls
        m.steps += child.steps
    return result


def _remembers(value: Value) -> bool:
    """Does the value hold a tensor that knows how it was made?"""
    match value:
        case Tensor(made=made):
            return made is not None
        case Items(items=items):
            return any(map(_remembers, items))
        case Many(item=item):
            return _remembers(item)
        case Mapping(items=pairs):
            return any(_remembers(v) for _, v in pairs)
        case _:
            return False


def change_of(m: Machine, before: State, after: State, result: Result) -> Change:
    def new(old: dict[Any, Any], now: dict[Any, Any]) -> dict[Any, Any]:
        return {k: v for k, v in now.items() if k not in old or old[k] is not v}

    frames = {f: dict(names) for f, names in after.frames.items() if f not in before.frames and f > result.first}
    heap = {
        n: Instance(o.cls, o.attrs, o.key, (result, 0)) if o.source is None and n > result.first else o
        for n, o in new(before.heap, after.heap).items()
    }
    return Change(
        frames,
        {f: m.frame_parents[f] for f in frames if f in m.frame_parents},
        heap,
        new(before.sizes, after.sizes),
        new(before.shapes, after.shapes),
        new(before.narrowed, after.narrowed),
        new(before.path, after.path),
    )


def _note_parts(result: Result) -> None:
    for change, _ in result.ends[:1]:
        for number, obj in change.heap.items():
            held = dict.fromkeys(n for value in obj.attrs.values() for n in refs_in(value) if n != number)
            if held:
                result.parts[number] = tuple(held)


# ---------------------------------------------------------------------- giving


def _given(
    m: Machine, result: Result, ranges: list[Range], leaves: list[Value], alone: bool = True
) -> Iterator[tuple[list[State], Value]]:
    """The ends of a call that has this result, from the present state. Ends that contradict it are left out. `alone`:
    it was given no objects, so that the new ones hold none that the result does not know."""
    given: dict[int, tuple[str, str, Value]] = {}
    for (number, hole), leaf in zip(result.holes, leaves):
        key = _key(leaf)
        if key is None:
            key = m.fresh()
            leaf = Unknown(leaf.hint, key) if isinstance(leaf, Unknown) else leaf
        given[number] = hole, key, leaf
    renew = Renewal(ranges, given, result.tables, m.tables, None if alone else result)
    if result.assumed:
        m.supposing.taken.update(result.assumed)
    possible = [end for end in result.ends if not _contradicts(m.state, end[0], renew)]
    for change, value in possible or result.ends:
        yield [_changed(m, m.state, change, renew, given)], renew(value)


def _contradicts(state: State, change: Change, renew: Renewal) -> bool:
    return any(state.path.get(renew.text(test), outcome) != outcome for test, outcome in change.path.items())


def _changed(m: Machine, before: State, change: Change, renew: Renewal, given: dict[int, Any]) -> State:
    out = before.copy()
    for frame, names in change.frames.items():
        out.frames[renew.number(frame)] = renew(names)
    for frame, around in change.parents.items():
        m.frame_parents[renew.number(frame)] = tuple(map(renew.number, around))
    for number, obj in change.heap.items():
        new, there = renew.object(number, obj)
        out.heap[new] = there
    again: list[tuple[str, Any]] = []
    for name, size in change.sizes.items():
        new_name, new_size = renew.text(name), renew.size(size)
        if out.sizes.setdefault(new_name, new_size) != new_size:
            again.append((new_name, new_size))
    for key, value in change.narrowed.items():
        new_value = renew(value)
        if not (new_value == NONE and any(isinstance(leaf, Tensor) for hole, _, leaf in given.values() if hole == key)):
            out.narrowed.setdefault(renew.text(key), new_value)
    for test, outcome in change.path.items():
        out.path.setdefault(renew.text(test), outcome)
    if change.shapes or again:
        known = {hole: leaf for hole, _, leaf in given.values()}
        kept, m.state = m.state, out
        for name, size in again:
            m.kit.agree(symbol(name), size)
        for key, shape in change.shapes.items():
            leaf = known.get(key)
            new_key, new_shape = renew.text(key), renew(shape)
            if isinstance(leaf, Tensor) and leaf.made is not None:
                m.kit.refine(leaf, new_shape)
            else:
                out.shapes.setdefault(new_key, new_shape)
        m.state = kept
    return out


# ------------------------------------------------------------------- instances


def instance_of(m: Machine, cls: ClassVal, make: Callable[[Machine, Ref], None]) -> Result:
    """An instance of the class whose `__init__` got arguments of which nothing is known; `make` runs that."""
    loud = cls.path == m.path or bool(cls.frame)

    def run(child: Machine, result: Result) -> list[tuple[State, Value]]:
        child.quiet += 1
        result.before = child.state.copy()
        ref = blank(child, cls, result)
        make(child, ref)
        _loosen(child, ref.id)
        return [(child.state, ref)]

    found = _known(m, m.own if loud else m.shared.library, ("instance", cls), loud, run)
    if found is None:  # an instance of a class that needs one to be made
        found = Result(m.serials.last, tables=m.tables)
        before = m.state
        m.state = State()
        ref = blank(m, cls, found)
        found.last = m.serials.last
        found.ends = [(change_of(m, State(), m.state, found), ref)]
        m.state = before
    return found


def _loosen(m: Machine, number: int) -> None:
    """Where a method begins, nobody knows which others ran since `__init__`: of what only held a place until one of
    them replaces it nothing is known."""
    obj = m.state.heap[number]
    later = set_later(m, obj.cls)
    held = {n for n, v in obj.attrs.items() if n in later and _holds_a_place(v)}
    if held:
        attrs = {n: m.unknown() if n in held else v for n, v in obj.attrs.items()}
        m.state.heap[number] = Instance(obj.cls, attrs, obj.key, obj.source, obj.changed)


def _holds_a_place(value: Value) -> bool:
    """A flag, None, a number, an empty list, a tensor whose sizes are all plain numbers."""
    match value:
        case Lit(value=None | bool()) | Num(size=int()) | Items(items=()):
            return True
        case Tensor(shape=tuple(axes)):
            return all(isinstance(a.size, int) for a in axes)
        case _:
            return False


def put(m: Machine, result: Result) -> Ref:
    """The instance itself, on the present state."""
    _restore(m, result)
    return Ref(result.receiver)


def copied(m: Machine, result: Result) -> Ref:
    """Another one like it."""
    raised = m.serials.last - result.first
    m.serials.last += result.last - result.first
    ((states, _),) = _given(m, result, [(result.first, result.last, raised)], [])
    m.state = states[0]
    return Ref(result.receiver + raised)
