"""The syntax tree of one function: its own statements and expressions, and new nodes in the place of old ones."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from shapecheck.runtime.source import FunctionNode

__all__ = [
    "LISTERS",
    "Facts",
    "bound_otherwise",
    "certain_parts",
    "changed",
    "expressions_of",
    "facts_of",
    "hidden_yield",
    "own_parts",
    "parsed_lines",
    "place_of",
    "put_on_line",
    "statements_of",
    "yields",
]

N = TypeVar("N", bound=ast.AST)
LISTERS = {"locals", "vars", "dir"}  # what lists the names of its caller's frame


def place_of(node: ast.AST) -> Any:
    return (
        type(node).__name__,
        *(getattr(node, part, None) for part in ("lineno", "col_offset", "end_lineno", "end_col_offset")),
    )


def changed(node: N, **changes: Any) -> N:
    """The node with some parts changed, as a new one."""
    new = copy.copy(node)
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def parsed_lines(lines: list[str], line: int) -> list[ast.stmt]:
    """Guard lines as statements, all on the line that they guard."""
    statements = ast.parse("\n".join(lines)).body
    put_on_line(statements, line)
    return statements


def put_on_line(nodes: Iterable[ast.AST], line: int) -> None:
    """Set the line of nodes and of all that is in them."""
    place = {"lineno": line, "end_lineno": line, "col_offset": 0, "end_col_offset": 0}
    for node in nodes:
        for part in parts_of(node):
            part.__dict__.update(place)


_LEAVES = {"ctx", "id", "attr", "op", "ops", "kind", "type_comment"}  # fields that hold no node with a line
_inner: dict[type[ast.AST], tuple[str, ...]] = {ast.Constant: ()}


def parts_of(node: ast.AST) -> list[ast.AST]:
    """A node and all that is in it, operators apart; `ast.walk` would be half of the price of a decoration."""
    found, stack = [], [node]
    while stack:
        part = stack.pop()
        found.append(part)
        kind = type(part)
        fields = _inner.get(kind)
        if fields is None:
            fields = _inner[kind] = tuple(name for name in kind._fields if name not in _LEAVES)
        for name in fields:
            value = getattr(part, name, None)
            if isinstance(value, ast.AST):
                stack.append(value)
            elif value and isinstance(value, list):
                stack += [item for item in value if isinstance(item, ast.AST)]
    return found


@dataclass(frozen=True, slots=True)
class Facts:
    """What one walk over a definition finds."""

    stored: frozenset[str]  # names that it binds: an argument among them no longer is what the caller passed
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    declares: bool  # something in it may ask something: an annotation, or a call of `check`
    hides: bool  # its expressions yield, bind names, or list those of the frame


def facts_of(node: ast.AST) -> Facts:
    stored, imports, declares, hides = set(), [], False, False
    for part in parts_of(node):
        if isinstance(part, ast.Name):
            if not isinstance(part.ctx, ast.Load):
                stored.add(part.id)
        elif isinstance(part, ast.Call):
            name = getattr(part.func, "attr", getattr(part.func, "id", ""))
            declares = declares or name == "check"
            hides = hides or name in LISTERS
        elif isinstance(part, ast.AnnAssign):
            declares = True
        elif isinstance(part, ast.Yield | ast.YieldFrom | ast.NamedExpr):
            hides = True
        elif isinstance(part, ast.Import | ast.ImportFrom):
            imports.append(part)
    return Facts(frozenset(stored), tuple(imports), declares, hides)


def statements_of(block: list[ast.stmt], guarded: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement of the function itself, and whether something around it may swallow an error."""
    for statement in block:
        yield statement, guarded
        if isinstance(statement, FunctionNode | ast.ClassDef):
            continue
        catches = isinstance(statement, ast.With | ast.AsyncWith) or bool(getattr(statement, "handlers", []))
        leaves = any(_leaves(s) for s in getattr(statement, "finalbody", []))
        for part in ("body", "orelse", "finalbody"):
            shelter = guarded or (catches and part == "body") or (leaves and part != "finalbody")
            yield from statements_of(getattr(statement, part, None) or [], shelter)
        for handler in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from statements_of(handler.body, guarded or leaves)


def _leaves(statement: ast.stmt) -> bool:
    """Whether a `finally` may leave by itself, which drops the error on its way."""
    return any(isinstance(n, ast.Return | ast.Break | ast.Continue) for n in ast.walk(statement))


def expressions_of(statement: ast.stmt) -> list[ast.expr]:
    """The expressions of a statement itself, without those of the statements within it."""
    if isinstance(statement, FunctionNode | ast.ClassDef):
        return []
    found: list[ast.expr] = []
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            found.append(child)
        elif isinstance(child, ast.withitem):
            found += [child.context_expr, *([child.optional_vars] if child.optional_vars else [])]
    if isinstance(statement, ast.AnnAssign):
        found.remove(statement.annotation)
        if statement.value is None:
            found.remove(statement.target)
    return found


def bound_otherwise(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """Names that a statement binds other than by assignment, and by what."""
    match statement:
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from ((alias.asname or alias.name.partition(".")[0], "an import") for alias in names)
        case ast.Try(handlers=handlers):
            yield from ((handler.name, "an `except`") for handler in handlers if handler.name)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, "a definition"
            for part in ast.walk(statement):
                if isinstance(part, ast.Nonlocal):
                    yield from ((inner, f"`nonlocal` in {name}") for inner in part.names)


def certain_parts(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression that run whenever it does."""
    yield node
    match node:
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return
        case ast.BoolOp(values=[first, *_]) | ast.IfExp(test=first):
            yield from certain_parts(first)
        case ast.Compare(left=left, comparators=[first, *_]):
            yield from certain_parts(left)
            yield from certain_parts(first)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from certain_parts(child)


def yields(statement: ast.stmt) -> bool:
    return any(isinstance(n, ast.Yield | ast.YieldFrom) for part in expressions_of(statement) for n in own_parts(part))


def hidden_yield(statement: ast.stmt) -> bool:
    """Whether a statement yields from within an expression, or delegates."""
    match statement:
        case ast.Expr(value=ast.Yield() as plain) | ast.Assign(value=ast.Yield() as plain):
            parts: list[ast.AST] = [plain.value] if plain.value is not None else []
        case _:
            parts = list(expressions_of(statement))
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for part in parts for node in own_parts(part))


def own_parts(node: ast.AST) -> list[ast.AST]:
    """A node and all within it that runs when it does, not later in a lambda."""
    found: list[ast.AST] = []
    stack = [node]
    while stack:
        part = stack.pop()
        found.append(part)
        if not isinstance(part, ast.Lambda | ast.GeneratorExp):
            stack += reversed(list(ast.iter_child_nodes(part)))
    return found
