"""Calls that were run before: the same function with arguments that differ only in which unknown things they are.

The second such call is not run. What the first one found is said again, of the other arguments and from the other
place: the same facts, the same ends, the same changes of what is known. A call is the same when all that it can look
at is: its arguments, the objects behind them, what was learned and decided of any of those, and the module's globals.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from shapecheck.engine.facts import Called, Fact, Frame
from shapecheck.engine.forms import Formless, Forms, Within, of_size, split
from shapecheck.engine.renaming import Renaming
from shapecheck.engine.state import Instance, State
from shapecheck.engine.values import Closure, Site, Value
from shapecheck.source.program import Node

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

Ends = list[tuple[list[State], Value]]  # the different results of a call, each with the states that end in it
_KEPT = 2_000  # summaries of one file


@dataclass(frozen=True, slots=True)
class Given:
    """What a call was given. Calls of equal `key` are the same up to `parts`, which correspond one by one."""

    key: tuple[Any, ...]
    parts: tuple[Any, ...]  # serial numbers, and pieces of history
    held: tuple[Any, ...]  # what the key knows by identity


@dataclass(slots=True)
class Change:
    """What a call changed of what is known: by the names of `State`'s fields."""

    frames: dict[int, dict[str, Value]]
    heap: dict[int, Instance]
    sizes: dict[str, Any]
    shapes: dict[str, Any]
    narrowed: dict[str, Value]
    path: dict[str, bool]
    parents: dict[int, tuple[int, ...]]


@dataclass(slots=True)
class Summary:
    given: Given
    node: Node  # the call, and where the run stood
    site: Site
    depth: int  # calls around it
    activation: int
    first: int  # serial numbers: those above `first` up to `last` were given out during the call
    last: int
    apart: tuple[tuple[int, int], ...]  # but for those that belong to a module that was read on the way
    decided: tuple[tuple[str, bool], ...]  # the path before the call
    facts: list[Fact] | None  # None: nothing was stated
    ends: list[tuple[Change, Value]]
    stuck: Change | None  # where no end was reached
    entered: frozenset[int]
    deepest: int
    tables: tuple[list[tuple[Any, Any]], ...]


@dataclass(slots=True)
class Mark:
    """Where a call began."""

    given: Given
    node: Node
    site: Site
    state: State
    serial: int
    facts: int
    tables: tuple[int, ...]
    entered: int
    refused: int
    apart: int
    taken: tuple[int, int]
    quiet: bool


@dataclass(slots=True)
class Summaries:
    """The summaries of one file's run, and what has to be known of a call to make one."""

    forms: Forms = field(default_factory=Forms)
    known: dict[tuple[Any, ...], Summary] = field(default_factory=dict)
    entered: list[tuple[int, int]] = field(default_factory=list)  # functions, with how many calls were around them
    refused: int = 0  # calls that were not entered because of those around them
    modules: list[tuple[int, int]] = field(default_factory=list)  # serial numbers given out by top levels, in order
    shared: dict[int, None] = field(default_factory=dict)  # objects that top levels made
    closed: int = 0  # > 0: a top level runs, whose globals are not all there yet

    # ---------------------------------------------------------------- looking

    def given(self, m: Machine, closure: Closure, args: list[Value], kwargs: dict[str, Value]) -> Given | None:
        """What identifies this call; None where it may depend on more than can be told."""
        if self.closed:
            return None
        try:
            return _Look(self, m).call(closure, args, kwargs)
        except Formless:
            return None

    def find(self, m: Machine, given: Given) -> Summary | None:
        found = self.known.get(given.key)
        if found is None or (found.facts is None and not m.quiet):
            return None
        if len(m.stack) + found.deepest >= m.max_depth:
            return None
        return None if any(id(a.function) in found.entered for a in m.activations) else found

    def share(self, first: int, last: int, objects: Iterable[int]) -> None:
        """A module's top level ran: what it made means the same in every call."""
        if not self.modules or self.modules[-1][1] <= first:
            self.modules.append((first, last))
        else:  # others were read while it ran
            self.modules = [(a, b) for a, b in self.modules if b <= first] + [(first, last)]
        self.shared.update((o, None) for o in objects if first < o <= last)

    def is_shared(self, serial: int) -> bool:
        """Does this number belong to the globals of a module, and so mean the same everywhere?"""
        at = bisect_left(self.modules, (serial, serial))
        if at < len(self.modules) and self.modules[at][0] < serial <= self.modules[at][1]:
            return True
        return at > 0 and self.modules[at - 1][0] < serial <= self.modules[at - 1][1]

    # --------------------------------------------------------------- recording

    def mark(self, m: Machine, given: Given, node: Node) -> Mark:
        return Mark(
            given,
            node,
            m.site,
            m.state.copy(),
            m.last_serial,
            len(m.facts.items),
            tuple(map(len, _tables(m))),
            len(self.entered),
            self.refused,
            len(self.modules),
            (len(m.oracle.taken), m.oracle.calls),
            bool(m.quiet),
        )

    def record(self, m: Machine, mark: Mark, activation: int, ends: Ends) -> Ends:
        """Remember how a call ended. The ends, with the states of each joined."""
        joined = [(m.joined([s.copy() for s in states]), value) for states, value in ends]
        ends = [([state], value) for state, value in joined]
        inside = self.entered[mark.entered :]
        entered = frozenset(function for function, _ in inside)
        around = len(m.stack) - 1
        if self.refused != mark.refused or any(id(a.function) in entered for a in m.activations[:-1]):
            return ends
        changes = [(_change(m, mark.state, state), value) for state, value in joined]
        stuck = None if ends else _change(m, mark.state, m.state)
        made = range(mark.serial + 1, m.last_serial + 1)
        ours = {p for p in mark.given.parts if isinstance(p, int)}
        for change in (*(c for c, _ in changes), *([stuck] if stuck else [])):
            if any(f not in made for f in change.frames):
                return ends  # it set a name of a function around it
            if any(o not in made and o not in ours and not self.is_shared(o) for o in change.heap):
                return ends
        if len(self.known) >= _KEPT:
            self.known.clear()
        self.known[mark.given.key] = Summary(
            mark.given,
            mark.node,
            mark.site,
            around,
            activation,
            mark.serial,
            m.last_serial,
            tuple(self.modules[mark.apart :]),
            tuple(mark.state.path.items()),
            None if mark.quiet else m.facts.items[mark.facts :],
            changes,
            stuck,
            entered,
            max((depth for _, depth in inside), default=around) - around,
            tuple(_added(table, before) for table, before in zip(_tables(m), mark.tables)),
        )
        return ends

    # --------------------------------------------------------------- repeating

    def repeat(self, m: Machine, summary: Summary, given: Given, node: Node, name: str) -> Ends:
        """The ends of a call that was run before, as seen from the present state; states its facts again."""
        rename = _renaming(m, summary, given, node)
        m.last_serial += summary.last - summary.first
        for table, entries in zip(_tables(m), summary.tables):
            for key, value in entries:
                table.setdefault(
                    rename.text(key) if isinstance(key, str) else rename.size(key),
                    value if isinstance(value, str) else rename(value),
                )
        if summary.facts and not m.quiet:
            _state_again(m, summary, rename, Frame(m.at(node), rename.number(summary.activation), name))
        self.entered += [(function, len(m.stack) + summary.deepest) for function in summary.entered]
        before = m.state
        if summary.stuck is not None:
            m.state = _changed(m, before, summary.stuck, rename)
        return [([_changed(m, before, change, rename)], rename(value)) for change, value in summary.ends]


def _tables(m: Machine) -> tuple[dict[Any, Any], ...]:
    """What the machine remembers of sizes and unknown things beside the state."""
    return m.authored, m.hints, m.computed, m.spoken, m.facts.counters


def _added(table: dict[Any, Any], before: int) -> list[tuple[Any, Any]]:
    return list(islice(reversed(table.items()), len(table) - before))[::-1]


def _change(m: Machine, before: State, after: State) -> Change:
    def new(old: dict[Any, Any], now: dict[Any, Any]) -> dict[Any, Any]:
        return {k: v for k, v in now.items() if k not in old or old[k] is not v}

    frames = {
        f: dict(names)
        for f, names in after.frames.items()
        if f not in before.frames or any(before.frames[f].get(n) is not v for n, v in names.items())
    }
    return Change(
        frames,
        new(before.heap, after.heap),
        new(before.sizes, after.sizes),
        new(before.shapes, after.shapes),
        new(before.narrowed, after.narrowed),
        new(before.path, after.path),
        {f: m.frame_parents[f] for f in frames if f in m.frame_parents},
    )


def _changed(m: Machine, state: State, change: Change, rename: Renaming) -> State:
    out = state.copy()
    for frame, names in change.frames.items():
        out.frames[rename.number(frame)] = rename(names)
    for frame, around in change.parents.items():
        m.frame_parents[rename.number(frame)] = tuple(map(rename.number, around))
    for number, obj in change.heap.items():
        out.heap[rename.number(number)] = rename(obj)
    for name, size in change.sizes.items():
        out.sizes[rename.text(name)] = rename.size(size)
    for key, shape in change.shapes.items():
        out.shapes[rename.text(key)] = rename(shape)
    for key, value in change.narrowed.items():
        out.narrowed[rename.text(key)] = rename(value)
    for test, outcome in change.path.items():
        out.path[rename.text(test)] = outcome
    return out


def _renaming(m: Machine, summary: Summary, given: Given, node: Node) -> Renaming:
    numbers: dict[int, int] = {}
    objects: list[tuple[object, object]] = []
    for old, new in zip(summary.given.parts, given.parts):
        if isinstance(old, int):
            numbers[old] = new
        else:
            objects.append((old, new))
    first, last, apart, offset = summary.first, summary.last, summary.apart, m.last_serial - summary.first

    def number(n: int) -> int:
        if first < n <= last:
            return n if apart and any(a < n <= b for a, b in apart) else n + offset
        return numbers.get(n, n)

    sites: dict[int, Site] = {}
    if summary.site.node is not m.site.node:
        sites[id(summary.site.node)] = m.site
    if summary.node is not node:
        sites[id(summary.node)] = m.at(node)
    return Renaming(number, objects, sites)


def _state_again(m: Machine, summary: Summary, rename: Renaming, call: Frame) -> None:
    outer, depth = (*m.stack, call), summary.depth + 1
    now = tuple(m.state.path.items())
    decided, count = summary.decided, len(summary.decided)
    for fact in summary.facts or ():
        m.ops_run += isinstance(fact, Called)
        old = fact.path
        more = old[count:] if old[:count] == decided else tuple(p for p in old if p not in decided)
        path = (*now, *((rename.text(test), outcome) for test, outcome in more)) if more else now
        m.facts.items.append(rename.fact(fact, (*outer, *map(rename, fact.stack[depth:])), path))


class _Look:
    """One look at all that a call can see."""

    def __init__(self, summaries: Summaries, m: Machine) -> None:
        self.all, self.m, self.forms = summaries, m, summaries.forms
        self.tokens: list[Any] = []
        self.order: list[Any] = []  # for each thing taken out of a form, which of `parts` it is
        self.parts: dict[Any, int] = {}  # serial number, or identity of a piece of history -> its turn
        self.pieces: list[Any] = []
        self.texts: set[str] = set()
        self.objects: list[int] = []
        self.definitions: set[Within] = set()

    def call(self, closure: Closure, args: list[Value], kwargs: dict[str, Value]) -> Given:
        m = self.m
        self.see(closure)
        for value in args:
            self.see(value)
        for name, value in kwargs.items():
            self.tokens.append(name)
            self.see(value)
        self.follow()
        shared = tuple(m.state.heap.get(number) for number in self.all.shared)
        key = (m.narrowness, tuple(self.tokens), tuple(self.order), tuple(map(id, shared)))
        return Given(key, tuple(self.pieces), (closure, args, kwargs, shared))

    def see(self, value: Any) -> None:
        self.add(*self.forms.of(value))

    def add(self, tokens: tuple[Any, ...], leaves: tuple[Any, ...]) -> None:
        self.tokens.append(tokens)
        for leaf in leaves:
            if isinstance(leaf, str):
                for number in split(leaf)[1]:
                    self.number(number)
                if leaf not in self.texts:
                    self.texts.add(leaf)
                    self.told(leaf)
            elif isinstance(leaf, int):
                self.number(leaf)
                self.objects.append(leaf)
            elif isinstance(leaf, Within):
                self.inside(leaf)
            else:
                self.turn(("history", id(leaf)), leaf)

    def number(self, number: int) -> None:
        if self.all.is_shared(number):
            self.order.append(("shared", number))
        else:
            self.turn(number, number)

    def turn(self, part: Any, piece: Any) -> None:
        at = self.parts.get(part)
        if at is None:
            at = self.parts[part] = len(self.pieces)
            self.pieces.append(piece)
        self.order.append(at)

    def inside(self, definition: Within) -> None:
        """What a definition inside a function sees of the frames around it."""
        if definition in self.definitions:
            return
        self.definitions.add(definition)
        mentioned = self.m.mentioned(definition.node)
        for frame in self.m.scopes_of(definition.frame):
            self.number(frame)
            scope = self.m.state.frames.get(frame)
            if scope is None:
                self.tokens.append("gone")
                continue
            for name in mentioned:
                if name in scope:
                    self.tokens.append(name)
                    self.see(scope[name])

    def told(self, text: str) -> None:
        """What is remembered of an unknown thing."""
        m = self.m
        self.tokens.append((text in m.authored, "$" + text in m.authored))
        if text in m.computed:
            self.add(*of_size(m.computed[text]))
        if text in m.facts.counters:
            for size in m.facts.counters[text]:
                self.add(*of_size(size))

    def follow(self) -> None:
        """The objects that were seen, and what was learned and decided of anything that was seen."""
        state = self.m.state
        tables: tuple[dict[str, Any], ...] = (state.sizes, state.shapes, state.narrowed, state.path)
        pending = [
            (kind, name, value, split(name)[1]) for kind, table in enumerate(tables) for name, value in table.items()
        ]
        done: set[int] = set()
        while True:
            while self.objects:
                number = self.objects.pop()
                if number not in done and not self.all.is_shared(number):
                    done.add(number)
                    self.texts.add(f"object {number}")
                    self.see(state.heap.get(number))
            left = []
            for entry in pending:
                kind, name, value, numbers = entry
                if numbers and not self.concerns(name, numbers):
                    left.append(entry)
                    continue
                self.add((kind, split(name)[0]), (name,))
                match kind:
                    case 0:
                        self.add(*of_size(value))
                    case 1:
                        self.add(*self.forms.shape(value))
                    case 2:
                        self.see(value)
                    case _:
                        self.tokens.append(value)
            if len(left) == len(pending) and not self.objects:
                return
            pending = left

    def concerns(self, name: str, numbers: tuple[int, ...]) -> bool:
        """Could the call ask for what is known under this name: is it made of the name of something seen?"""
        if any(map(self.all.is_shared, numbers)):
            return True
        return any(n in self.parts for n in numbers) and any(text in name for text in self.texts)
