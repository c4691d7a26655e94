"""What one turn of a loop hands to the next: a turn that gets nothing new from the one before need not be run."""

from __future__ import annotations

from collections.abc import Sequence

from shapecheck.engine.state import State, alike
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
    for name in names:
        if name in before and before[name] is not now.get(name):
            if name not in now or not alike(before[name], now[name]):
                return False
    for number, scope in start.frames.items():
        if number != frame and (other := after.frames.get(number)) is not scope:
            if other is None or not all(n in other and alike(v, other[n]) for n, v in scope.items()):
                return False
    for number, obj in start.heap.items():
        held = after.heap.get(number)
        if held is not obj:
            if held is None or held.changed != obj.changed:
                return False
            if not all(n in held.attrs and alike(v, held.attrs[n]) for n, v in obj.attrs.items()):
                return False
    return True
