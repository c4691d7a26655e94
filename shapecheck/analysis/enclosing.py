"""Where a piece of code stands: its function, and the `if`s around it, one by one, with the arm it is in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from shapecheck.engine.facts import Facts
from shapecheck.source.program import Branch, Expr, Function, IfExp, Node, Op, Program, children


@dataclass(frozen=True, slots=True)
class Guard:
    """One `if` around a place: its identity, the arm that the place is in, and its test."""

    branch: int
    arm: bool
    test: Expr


def function_of(node: Node, facts: Facts) -> Function | None:
    """The innermost function of this file that `node` stands in; a function stands in itself."""
    return facts.once(_functions).get(id(node))


def _functions(facts: Facts) -> dict[int, Function]:
    found: dict[int, Function] = {}

    def enter(node: Node, function: Function | None) -> None:
        function = node if isinstance(node, Function) else function
        if function is not None:
            found[id(node)] = function
        for child in children(node):
            enter(child, function)

    for stmt in facts.program.body if facts.program is not None else ():
        enter(stmt, None)
    return found


def guards_of(program: Program, node: Node) -> tuple[Guard, ...]:
    """The conditions around `node`, outermost first; none for a node that is not in this program."""
    for stmt in program.body:
        found = _inside(stmt, node, ())
        if found is not None:
            return found
    return ()


def _inside(here: Node, node: Node, around: tuple[Guard, ...]) -> tuple[Guard, ...] | None:
    if here is node:
        return around
    for child, guard in _below(here):
        found = _inside(child, node, around if guard is None else (*around, guard))
        if found is not None:
            return found
    return None


def _below(here: Node) -> Iterator[tuple[Node, Guard | None]]:
    match here:
        case Branch(test=test, body=body, orelse=orelse):
            yield test, None
            yield from ((stmt, Guard(id(here), True, test)) for stmt in body)
            yield from ((stmt, Guard(id(here), False, test)) for stmt in orelse)
        case IfExp(test=test, then=then, orelse=otherwise):
            yield test, None
            yield then, Guard(id(here), True, test)
            yield otherwise, Guard(id(here), False, test)
        case _:
            yield from ((child, None) for child in children(here))


def share(a: tuple[Guard, ...], b: tuple[Guard, ...]) -> bool:
    """Have two places a condition in common, other than the `if`s that stand around both?"""
    both = {(g.branch, g.arm) for g in a} & {(g.branch, g.arm) for g in b}
    left = [part for g in a if (g.branch, g.arm) not in both for part in parts(g)]
    right = [part for g in b if (g.branch, g.arm) not in both for part in parts(g)]
    return any(x[1] == y[1] and same_text(x[0], y[0]) for x in left for y in right)


def same_text(a: object, b: object) -> bool:
    """Do two pieces of the program say the same, whatever their layout?"""
    if isinstance(a, Node) and isinstance(b, Node):
        names = [f.name for f in fields(a) if f.name != "cst"]
        return type(a) is type(b) and all(same_text(getattr(a, n), getattr(b, n)) for n in names)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same_text, a, b))
    return a == b


def parts(guard: Guard) -> list[tuple[Expr, bool]]:
    """What is known where the guard holds: `a and b` in the first arm is a and b; each with whether it is true."""
    return _parts(guard.test, guard.arm)


def _parts(test: Expr, outcome: bool) -> list[tuple[Expr, bool]]:
    match test:
        case Op(op="not", operands=(inner,)):
            return _parts(inner, not outcome)
        case Op(op="and" | "or" as op, operands=operands) if (op == "and") == outcome:
            return [part for operand in operands for part in _parts(operand, outcome)]
        case _:
            return [(test, outcome)]


__all__ = ["Guard", "function_of", "guards_of", "parts", "same_text", "share"]
