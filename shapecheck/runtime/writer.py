"""Writes guards into a function's body: at its head, at annotated locals, at `return` and `yield`."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shapecheck.runtime.contract import Contract, Free
from shapecheck.runtime.source import FunctionNode
from shapecheck.runtime.syntax import (
    LISTERS,
    bound_otherwise,
    certain_parts,
    changed,
    expressions_of,
    hidden_yield,
    own_parts,
    parsed_lines,
    place_of,
    put_on_line,
    statements_of,
    yields,
)

__all__ = ["FRAME_READERS", "Writer"]

FRAME_READERS = {"eval", "exec", "_getframe", "currentframe", "stack"}


@dataclass(slots=True)
class Writer:
    """Writes guards into a body. The callables give guard lines for a value in a variable.

    `local(contract, target, subject, line)` is asked for each annotated local and for `check(x, "B G")`.
    Nothing of the tree that it reads is changed.
    """

    mark: str
    contract_of: Callable[[ast.expr], Contract]
    checked: Callable[[ast.Call], tuple[Contract, ast.expr] | None]
    returned: Callable[[str, int], list[str]] | None = None
    yielded: Callable[[str, int], list[str]] | None = None
    local: Callable[[Contract, str, str, int], list[str]] = lambda *_: []
    contracts: dict[Any, Contract] = field(default_factory=dict)  # of annotations, by place
    checks: dict[Any, Contract] = field(default_factory=dict)  # of calls, by place
    declared: dict[str, Contract] = field(default_factory=dict)
    locals: list[tuple[int, str, Contract]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sheltered: bool = False  # a return or yield within `try` or `with`, which might swallow a guard's error
    hidden_yield: bool = False  # a yield within an expression, where no guard can be written
    lists_names: bool = False  # `locals()` and the like

    def survey(self, node: FunctionNode, hides: bool) -> None:
        """Collect what the body declares, before anything is written; `hides` as in `Facts`."""
        statements = list(statements_of(node.body, False))
        for statement, guarded in statements:
            if isinstance(statement, ast.AnnAssign):
                contract, text = self.contract_of(statement.annotation), ast.unparse(statement.target)
                if isinstance(contract, Free):
                    continue
                if statement.value is None and not isinstance(statement.target, ast.Name):
                    self.notes.append(f"line {statement.lineno}: {text} is declared without a value: not checked")
                    continue
                self.contracts[place_of(statement.annotation)] = contract
                self.locals.append((statement.lineno, text, contract))
                if statement.value is None and isinstance(statement.target, ast.Name):
                    self.declared[statement.target.id] = contract
                if guarded:
                    where = "within `try` or `with`: an error raised there may be caught there"
                    self.notes.append(f"line {statement.lineno}: {text} stands {where}")
        for statement, guarded in statements:
            match statement:
                case ast.Expr(value=ast.Call() as call) | ast.Assign(value=ast.Call() as call):
                    if (found := self.checked(call)) is not None:
                        self.checks[place_of(call)] = found[0]
                        self.locals.append((statement.lineno, ast.unparse(found[1]), found[0]))
                case ast.Return() if guarded:
                    self.sheltered = True
            if self.declared:
                for name, how in bound_otherwise(statement):
                    if name in self.declared:
                        self.notes.append(f"line {statement.lineno}: {name} is bound by {how}: not checked there")
            if not hides:
                continue
            if yields(statement):
                self.hidden_yield = self.hidden_yield or hidden_yield(statement)
                self.sheltered = self.sheltered or guarded
            self._look(statement)

    def _look(self, statement: ast.stmt) -> None:
        """Names that the statement's own expressions list or bind."""
        for part in expressions_of(statement):
            for node in own_parts(part):
                match node:
                    case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in LISTERS:
                        self.lists_names = True
                    case ast.NamedExpr(target=ast.Name(id=name)) if name in self.declared and node not in list(
                        certain_parts(part)
                    ):
                        where = "within an expression that may not run"
                        self.notes.append(f"line {node.lineno}: {name} is assigned {where}: not checked there")

    def write(self, node: FunctionNode, head: list[str]) -> FunctionNode:
        """The definition with its guards, as a new node."""
        body = node.body
        if self.lists_names:
            body = [_Visible(self.mark).visit(copy.deepcopy(s)) for s in body]
        doc = 1 if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) else 0
        start = body[doc].lineno if len(body) > doc else node.lineno
        new = self._block(body[doc:])
        if self.returned is not None and not isinstance(body[-1], ast.Return | ast.Raise):
            new += self._return(None, body[-1].end_lineno or start)
        return changed(node, body=[*body[:doc], *parsed_lines(head, node.lineno), *new])

    def _check_of(self, call: ast.Call) -> tuple[Contract, ast.expr] | None:
        contract = self.checks.get(place_of(call))
        return None if contract is None else (contract, call.args[0])

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        return [new for statement in statements for new in self._statement(statement)]

    def _statement(self, statement: ast.stmt) -> list[ast.stmt]:
        line = statement.lineno
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return [statement]
            case ast.Return(value=value) if self.returned is not None or self._bound(statement):
                return self._return(value, line, self._bound(statement))
            case ast.Expr(value=ast.Yield(value=value)) if self.yielded is not None:
                return [*self._yield(value, line), changed(statement, value=self._again(line))]
            case ast.Assign(value=ast.Yield(value=value)) if self.yielded is not None:
                after = self._guards(self._bound(statement), line)
                return [*self._yield(value, line), changed(statement, value=self._again(line)), *after]
            case ast.AnnAssign(target=target, annotation=annotation, value=value) if value is not None:
                return self._annotated(statement, self.contracts.get(place_of(annotation), Free()), target, value)
            case ast.Expr(value=ast.Call() as call) if (found := self._check_of(call)) is not None:
                return self._check(found, line, None)
            case ast.Assign(value=ast.Call() as call) if (found := self._check_of(call)) is not None:
                return [*self._check(found, line, statement), *self._guards(self._bound(statement), line)]
        bound = self._bound(statement)
        inside = self._guards(bound, line) if bound else []
        changes: dict[str, Any] = {}
        for part in ("body", "orelse", "finalbody"):
            if block := getattr(statement, part, None):
                changes[part] = self._block(block)
        if isinstance(statement, ast.If | ast.While) and inside:
            changes["body"] = [*inside, *changes["body"]]
            changes["orelse"] = [*self._guards(bound, line), *changes.get("orelse", [])]
            inside = []
        elif isinstance(statement, ast.For | ast.AsyncFor | ast.With | ast.AsyncWith) and inside:
            changes["body"] = [*inside, *changes["body"]]
            inside = []
        if handlers := getattr(statement, "handlers", None):
            changes["handlers"] = [changed(h, body=self._block(h.body)) for h in handlers]
        if cases := getattr(statement, "cases", None):
            changes["cases"] = [
                changed(c, body=[*self._guards(self._captured(c.pattern), line), *self._block(c.body)]) for c in cases
            ]
        return [changed(statement, **changes) if changes else statement, *inside]

    def _bound(self, statement: ast.stmt) -> list[str]:
        """The declared names that a statement is certain to bind, in its own targets and expressions."""
        if not self.declared:
            return []
        names: list[str] = []
        for part in expressions_of(statement):
            for node in certain_parts(part):
                match node:
                    case ast.Name(id=name, ctx=ast.Store()) if name in self.declared and name not in names:
                        names.append(name)
        return names

    def _captured(self, pattern: ast.pattern) -> list[str]:
        names = [getattr(n, "name", None) for n in ast.walk(pattern) if isinstance(n, ast.MatchAs | ast.MatchStar)]
        return [name for name in names if name in self.declared and not isinstance(pattern, ast.MatchOr)]

    def _guards(self, names: list[str], line: int) -> list[ast.stmt]:
        return [s for name in names for s in self._local(self.declared[name], name, name, line)]

    def _local(self, contract: Contract, value: str, text: str, line: int) -> list[ast.stmt]:
        return parsed_lines(self.local(contract, value, f"line {line}: {text}", line), line)

    def _annotated(
        self, statement: ast.AnnAssign, contract: Contract, target: ast.expr, value: ast.expr
    ) -> list[ast.stmt]:
        line, after = statement.lineno, self._guards(self._bound(statement), statement.lineno)
        if isinstance(contract, Free):
            return [statement, *after]
        text = ast.unparse(target)
        if isinstance(target, ast.Name):
            return [statement, *self._local(contract, text, text, line)]
        # the target is evaluated once, by the assignment itself
        variable = f"{self.mark}v"
        guards = self._local(contract, variable, text, line)
        stored = changed(statement, value=ast.copy_location(ast.Name(variable, ast.Load()), value))
        return [self._bind(variable, value, line), *guards, stored, *parsed_lines([f"{variable} = None"], line), *after]

    def _check(self, found: tuple[Contract, ast.expr], line: int, assign: ast.Assign | None) -> list[ast.stmt]:
        contract, value = found
        variable = f"{self.mark}c"
        guards = self._local(contract, variable, ast.unparse(value), line)
        done = parsed_lines([f"{variable} = None"], line)
        if assign is None:
            return [self._bind(variable, value, line), *guards, *done]
        stored = changed(assign, value=ast.copy_location(ast.Name(variable, ast.Load()), value))
        return [self._bind(variable, value, line), *guards, stored, *done]

    def _return(self, value: ast.expr | None, line: int, bound: list[str] | None = None) -> list[ast.stmt]:
        variable = f"{self.mark}result"
        again = ast.Return(ast.Name(variable, ast.Load()))
        put_on_line([again], line)
        guards = parsed_lines(self.returned(variable, line), line) if self.returned is not None else []
        first = self._bind(variable, value, line)
        return [first, *self._guards(bound or [], line), *guards, again]

    def _bind(self, variable: str, value: ast.expr | None, line: int) -> ast.stmt:
        bind = ast.Assign([ast.Name(variable, ast.Store())], ast.Constant(None))
        put_on_line([bind], line)
        if value is not None:
            bind.value = value
        return bind

    def _yield(self, value: ast.expr | None, line: int) -> list[ast.stmt]:
        assert self.yielded is not None
        variable = f"{self.mark}item"
        bind = self._bind(variable, value, line)
        return [bind, *parsed_lines(self.yielded(variable, line), line)]

    def _again(self, line: int) -> ast.expr:
        # the item is let go of while the generator sleeps
        text = f"({self.mark}item, {self.mark}item := None)[0]"
        node = ast.Yield(ast.parse(text, mode="eval").body)
        for part in ast.walk(node):
            if isinstance(part, ast.expr):
                part.lineno, part.col_offset, part.end_lineno, part.end_col_offset = line, 0, line, 0
        return node


class _Visible(ast.NodeTransformer):
    """`locals()` without the names of the guards."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in LISTERS:
                call = ast.Call(ast.Name(f"{self.mark}visible", ast.Load()), [node], [])
                return ast.fix_missing_locations(ast.copy_location(call, node))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node
