"""What one turn of a loop hands to the next: a turn that gets nothing new from the one before need not be run."""

from __future__ import annotations

from collections.abc import Sequence

from shapecheck.engine.state import State, alike
from shapecheck.engine.values import Value
from shapecheck.source.program import (
    Attr,
    Bind,
    Branch,
    Class,
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


def carried(loop: Loop) -> frozenset[str] | None:
    """Names that a turn may read before it binds them; None where every turn counts, since each yields something."""
    if any(isinstance(node, Yield) for stmt in loop.body for node in walk(stmt)):
        return None
    reads = _Reads()
    if loop.test is not None:
        reads.of(loop.test, set())
    bound: set[str] = set()
    if loop.target is not None:
        reads.target(loop.target, bound)
    reads.block(loop.body, bound)
    return frozenset(reads.names)


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
