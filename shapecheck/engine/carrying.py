"""What statements hand to those behind them: which names are still read, so that states that differ in others alone are
one, and what a turn of a loop gets from the one before: one that gets nothing new need not be run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shapecheck.dims import symbol, symbols
from shapecheck.engine.state import VARIES, State, alike
from shapecheck.engine.values import Axis, Items, Many, Mapping, Num, Partial, Ref, Tensor, Unknown, Value
from shapecheck.source.program import (
    Attr,
    Bind,
    Branch,
    Call,
    Class,
    Eval,
    Expr,
    Function,
    Import,
    Index,
    Loop,
    Match,
    Name,
    Node,
    Scope,
    Seq,
    Star,
    Stmt,
    Try,
    With,
    Yield,
    walk,
)

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


@dataclass(frozen=True, slots=True)
class Carried:
    """Names that a turn may read before it binds them: `read`, and lists that it does no more with than append."""

    read: frozenset[str]
    appended: frozenset[str]


def carried(loop: Loop) -> Carried | None:
    """What each turn may get from the one before; None where every turn counts, since each yields something."""
    if any(isinstance(node, Yield) for stmt in loop.body for node in walk(stmt)):
        return None
    reads = _Reads()
    if loop.test is not None:
        reads.of(loop.test, set())
    bound: set[str] = set()
    if loop.target is not None:
        reads.target(loop.target, bound)
    reads.block(loop.body, bound)
    appended = frozenset(_only_appended(loop)) & reads.names
    return Carried(frozenset(reads.names) - appended, appended)


def _only_appended(loop: Loop) -> Iterator[str]:
    named: Counter[str] = Counter()
    appended: Counter[str] = Counter()
    for part in (*loop.body, *((loop.test,) if loop.test is not None else ())):
        for node in (part, *walk(part)):
            match node:
                case Name(id=name):
                    named[name] += 1
                case Eval(value=Call(func=Attr(value=Name(id=name), name="append" | "extend"))):
                    appended[name] += 1
    return (name for name, times in appended.items() if times == named[name])


class _Reads:
    """Collects names that are read where they need not be bound yet."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def of(self, node: Node | None, bound: set[str]) -> None:
        if node is not None:
            self.names.update(n.id for n in (node, *walk(node)) if isinstance(n, Name) and n.id not in bound)

    def target(self, target: Expr, bound: set[str]) -> None:
        match target:
            case Name(id=name):
                bound.add(name)
            case Seq(items=items):
                for item in items:
                    self.target(item, bound)
            case Star(value=inner):
                self.target(inner, bound)
            case Attr() | Index() | _:
                self.of(target, bound)

    def block(self, body: Sequence[Stmt], bound: set[str]) -> None:
        """`bound` grows by what every way through the block binds."""
        for stmt in body:
            self.statement(stmt, bound)

    def statement(self, stmt: Stmt, bound: set[str]) -> None:
        match stmt:
            case Bind(targets=targets, value=value, aug=aug):
                self.of(value, bound)
                for target in targets:
                    if aug is not None:
                        self.of(target, bound)
                    if value is not None:
                        self.target(target, bound)
            case Branch(test=test, body=body, orelse=orelse):
                self.of(test, bound)
                one, other = set(bound), set(bound)
                self.block(body, one)
                self.block(orelse, other)
                bound |= one & other
            case Loop(target=target, iter=source, test=test, body=body, orelse=orelse):
                self.of(source, bound)
                self.of(test, bound)
                inside = set(bound)
                if target is not None:
                    self.target(target, inside)
                self.block(body, inside)
                self.block(orelse, set(bound))
            case With(items=items, body=body):
                for item in items:
                    self.of(item.value, bound)
                    if item.target is not None:
                        self.target(item.target, bound)
                self.block(body, bound)
            case Try(body=body, handlers=handlers, orelse=orelse, final=final):
                inside = set(bound)
                self.block(body, inside)
                for handler in handlers:
                    self.block(handler.body, set(bound))
                self.block(orelse, inside)
                self.block(final, set(bound))
            case Function(name=name) | Class(name=name):
                self.of(stmt, bound)
                bound.add(name)
            case Import(names=names):
                bound.update(item.name for item in names)
            case Match() | Scope():
                self.of(stmt, bound)
                if isinstance(stmt, Scope):
                    self.names.update(stmt.names)
            case _:
                self.of(stmt, bound)


def effects(stmt: Stmt) -> tuple[frozenset[str], frozenset[str]]:
    """Names that a statement may read before it binds them, and names that it binds whichever way it goes."""
    reads, bound = _Reads(), set[str]()
    reads.statement(stmt, bound)
    return frozenset(reads.names), frozenset(bound)


def of_any_turn(m: Machine, value: Value, since: int) -> Value:
    """What a turn made, said of every turn: the sizes and unknown things that it came by itself, those with serial
    numbers above `since`, are others in each."""

    def own(name: str | None) -> bool:
        return name is None or (name.startswith("?") and name > f"?{since}")

    def axis(a: Axis) -> Axis:
        return Axis(symbol(m.fresh(VARIES))) if any(map(own, symbols(m.size(a.size)))) else a

    match value:
        case Tensor(shape=shape, dtype=dtype, made=made, content=content):  # one line made it in every turn
            if content is not None and any(map(own, symbols(content.offset) | symbols(content.stride))):
                content = None
            if isinstance(shape, Partial):
                return Tensor(Partial(tuple(map(axis, shape.head)), tuple(map(axis, shape.tail))), dtype, made, content)
            return Tensor(tuple(map(axis, shape)), dtype, made, content)
        case Unknown(key=key):
            return Unknown(value.hint, m.fresh()) if own(key) else value
        case Num(size=size):
            return m.unknown("int") if any(map(own, symbols(m.size(size)))) else value
        case Items(kind=kind, items=items):
            return Items(kind, tuple(of_any_turn(m, item, since) for item in items))
        case Many(item=item, length=length, kind=kind):
            same = length is not None and not any(map(own, symbols(m.size(length))))
            return Many(of_any_turn(m, item, since), length if same else None, kind)
        case Mapping(items=pairs, rest=rest, kind=kind):
            return Mapping(tuple((name, of_any_turn(m, item, since)) for name, item in pairs), rest, kind)
        case Ref(id=number) if number > since:
            return m.unknown()
        case _:
            return value


def brings_nothing(start: State, after: State, frame: int, names: frozenset[str]) -> bool:
    """Does the state behind the first turn tell nothing else of what a turn reads than the one before it?"""
    before, now = start.frames.get(frame, {}), after.frames.get(frame, {})
    if not _told_already({n: before[n] for n in names if n in before}, now):
        return False
    for number, scope in start.frames.items():
        if number != frame and not _told_already(scope, after.frames.get(number, {})):
            return False
    for number, obj in start.heap.items():
        held = after.heap.get(number)
        if held is not obj and (
            held is None or held.changed != obj.changed or not _told_already(obj.attrs, held.attrs)
        ):
            return False
    return True


def _told_already(before: dict[str, Value], now: dict[str, Value]) -> bool:
    return before is now or all(n in now and (v is now[n] or alike(v, now[n])) for n, v in before.items())
