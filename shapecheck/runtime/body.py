"""The body of a function with guards written in: at its head, at annotated locals, at `return` and `yield`."""

from __future__ import annotations

import ast
import copy
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shapecheck.runtime.contract import Contract, Free
from shapecheck.runtime.source import COMPILER_FLAGS, FunctionNode, NoSource, source_of

N = TypeVar("N", bound=ast.AST)

__all__ = ["Body", "Writer", "compile_body", "read_body", "stored_names"]


@dataclass(frozen=True, slots=True)
class Body:
    """A function's own syntax tree, with the line numbers of its file. It is shared: never written to."""

    node: FunctionNode
    fn: types.FunctionType
    class_name: str | None  # for `__private` names and `super()`


def read_body(fn: types.FunctionType) -> Body:
    """Find the syntax tree that a function was compiled from. Raises NoSource."""
    code = fn.__code__
    if hasattr(fn, "__wrapped__") or code.co_name == "<lambda>":
        raise NoSource("it is a lambda, or wrapped by another decorator")
    if not code.co_filename or code.co_filename == "<string>":
        raise NoSource("its source is not at hand")
    source = source_of(code.co_filename, fn.__globals__, code.co_flags)
    key = (code.co_name, code.co_firstlineno)
    nodes = source.functions.get(key, [])
    if len(nodes) != 1:
        raise NoSource("its source is not a function definition of its own line")
    if code not in source.codes.get(key, []):
        rewritten = any(name.startswith("@py") for name in _names_in(code))  # pytest's assertions
        if not (rewritten and _but_for_assertions(nodes[0], code)):
            raise NoSource("its source is not what runs: the file changed, or the code was rewritten")
    return Body(nodes[0], fn, _class_name(fn))


def _but_for_assertions(node: FunctionNode, code: types.CodeType) -> bool:
    """Whether code that pytest rewrote is the node's: all that the statements other than `assert` name is in it."""
    plain = copy.deepcopy(node)
    for parent in ast.walk(plain):
        for part in ("body", "orelse", "finalbody"):
            block = getattr(parent, part, None)
            if isinstance(block, list):
                kept = [s for s in block if not isinstance(s, ast.Assert)]
                setattr(parent, part, kept or [ast.Pass()])
    for argument in ast.walk(plain):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    plain.decorator_list, plain.returns, plain.args.defaults = [], None, [ast.Constant(None)] * len(plain.args.defaults)
    module = ast.fix_missing_locations(ast.Module([plain], []))
    again = _find(compile(module, "<again>", "exec", code.co_flags & COMPILER_FLAGS, dont_inherit=True), node.name)
    consts = {repr(c) for c in code.co_consts}
    return _names_in(again) <= _names_in(code) | {"__class__"} and all(
        isinstance(c, types.CodeType) or c is None or repr(c) in consts for c in again.co_consts
    )


def _names_in(code: types.CodeType) -> set[str]:
    names = {*code.co_varnames, *code.co_names, *code.co_freevars, *code.co_cellvars}
    return names.union(*(_names_in(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _class_name(fn: types.FunctionType) -> str | None:
    """The class whose `__private` names the body means: that of the outermost function around it."""
    parts = fn.__qualname__.split(".")
    while len(parts) > 2 and parts[-2] == "<locals>":
        parts = parts[:-2]
    return parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else None


def compile_body(node: FunctionNode, body: Body, constants: Mapping[str, Any]) -> types.FunctionType:
    """A function like `body.fn` with the code of `node`, whose extra free variables are `constants`."""
    fn = body.fn
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or ()))
    node = _bare(node)
    node.name = _TWIN  # a function that calls itself means its global or its cell
    outer: ast.stmt = node
    if body.class_name is not None:
        # `__x` is `_Net__x` in a class `_Net` too, and `Net` in the body still means what it meant
        name, taken = f"_{body.class_name}", _names_in(fn.__code__)
        while name in taken:
            name = f"_{name}"
        outer = ast.ClassDef(name=name, bases=[], keywords=[], body=[node], decorator_list=[])
        ast.copy_location(outer, node)
        if sys.version_info >= (3, 12):
            outer.type_params = []
    free = [name for name in (*cells, *constants) if name != "__class__"]
    factory = ast.parse(f"def _factory({', '.join(free)}): pass").body[0]
    assert isinstance(factory, ast.FunctionDef)
    factory.body = [outer]
    module = ast.Module([factory], [])
    flags = fn.__code__.co_flags & COMPILER_FLAGS
    inner = _find(compile(module, fn.__code__.co_filename, "exec", flags, dont_inherit=True), _TWIN)
    inner = inner.replace(co_name=fn.__code__.co_name)
    if sys.version_info >= (3, 11):
        inner = inner.replace(co_qualname=fn.__code__.co_qualname)
    cells.update({name: types.CellType(value) for name, value in constants.items()})
    if missing := [name for name in inner.co_freevars if name not in cells]:
        raise NoSource(f"{', '.join(missing)} would have to come from somewhere else")
    new = types.FunctionType(
        inner, fn.__globals__, fn.__name__, fn.__defaults__, tuple(cells[name] for name in inner.co_freevars)
    )
    new.__kwdefaults__ = fn.__kwdefaults__
    return new


_TWIN = "_sc_twin"


def _bare(node: FunctionNode) -> FunctionNode:
    """The definition without what is evaluated around it: decorators, annotations, defaults."""

    def plain(one: ast.arg) -> ast.arg:
        return ast.copy_location(ast.arg(one.arg), one)

    old = node.args
    arguments = ast.arguments(
        posonlyargs=[plain(a) for a in old.posonlyargs],
        args=[plain(a) for a in old.args],
        vararg=plain(old.vararg) if old.vararg else None,
        kwonlyargs=[plain(a) for a in old.kwonlyargs],
        kw_defaults=[None if d is None else ast.copy_location(ast.Constant(None), d) for d in old.kw_defaults],
        kwarg=plain(old.kwarg) if old.kwarg else None,
        defaults=[ast.copy_location(ast.Constant(None), d) for d in old.defaults],
    )
    new = type(node)(name=node.name, args=arguments, body=node.body, decorator_list=[], returns=None)
    if sys.version_info >= (3, 12):
        new.type_params = []
    return ast.copy_location(new, node)


def _find(code: types.CodeType, name: str) -> types.CodeType:
    """The code of the function in its factory, perhaps within a class."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if constant.co_name == name and constant.co_flags & inspect.CO_OPTIMIZED:
                return constant
            if constant.co_name != name or not constant.co_flags & inspect.CO_OPTIMIZED:
                try:
                    return _find(constant, name)
                except NoSource:
                    continue
    raise NoSource("the compiled body was not found")


FRAME_READERS = {"eval", "exec", "_getframe", "currentframe", "stack"}
_LISTERS = {"locals", "vars", "dir"}


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

    def survey(self, node: FunctionNode) -> None:
        """Collect what the body declares, before anything is written."""
        statements = list(_statements(node.body, False))
        for statement, guarded in statements:
            if isinstance(statement, ast.AnnAssign):
                contract, text = self.contract_of(statement.annotation), ast.unparse(statement.target)
                if isinstance(contract, Free):
                    continue
                if statement.value is None and not isinstance(statement.target, ast.Name):
                    self.notes.append(f"line {statement.lineno}: {text} is declared without a value: not checked")
                    continue
                self.contracts[_place(statement.annotation)] = contract
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
                        self.checks[_place(call)] = found[0]
                        self.locals.append((statement.lineno, ast.unparse(found[1]), found[0]))
                case ast.Return() if guarded:
                    self.sheltered = True
            if _yields(statement):
                self.hidden_yield = self.hidden_yield or _hidden_yield(statement)
                self.sheltered = self.sheltered or guarded
            self._look(statement)

    def _look(self, statement: ast.stmt) -> None:
        """Names that the statement's own expressions list or bind."""
        for part in _expressions(statement):
            for node in _own(part):
                match node:
                    case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in _LISTERS:
                        self.lists_names = True
                    case ast.NamedExpr(target=ast.Name(id=name)) if name in self.declared and node not in list(
                        _certain(part)
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
        return _with(node, body=[*body[:doc], *_parsed(head, node.lineno), *new])

    def _check_of(self, call: ast.Call) -> tuple[Contract, ast.expr] | None:
        contract = self.checks.get(_place(call))
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
                return [*self._yield(value, line), _with(statement, value=self._again(line))]
            case ast.Assign(value=ast.Yield(value=value)) if self.yielded is not None:
                after = self._guards(self._bound(statement), line)
                return [*self._yield(value, line), _with(statement, value=self._again(line)), *after]
            case ast.AnnAssign(target=target, annotation=annotation, value=value) if value is not None:
                return self._annotated(statement, self.contracts.get(_place(annotation), Free()), target, value)
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
            changes["handlers"] = [_with(h, body=self._block(h.body)) for h in handlers]
        if cases := getattr(statement, "cases", None):
            changes["cases"] = [
                _with(c, body=[*self._guards(self._captured(c.pattern), line), *self._block(c.body)]) for c in cases
            ]
        return [_with(statement, **changes) if changes else statement, *inside]

    def _bound(self, statement: ast.stmt) -> list[str]:
        """The declared names that a statement is certain to bind, in its own targets and expressions."""
        if not self.declared:
            return []
        names: list[str] = []
        for part in _expressions(statement):
            for node in _certain(part):
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
        return _parsed(self.local(contract, value, f"line {line}: {text}", line), line)

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
        stored = _with(statement, value=ast.copy_location(ast.Name(variable, ast.Load()), value))
        return [self._bind(variable, value, line), *guards, stored, *_parsed([f"{variable} = None"], line), *after]

    def _check(self, found: tuple[Contract, ast.expr], line: int, assign: ast.Assign | None) -> list[ast.stmt]:
        contract, value = found
        variable = f"{self.mark}c"
        guards = self._local(contract, variable, ast.unparse(value), line)
        done = _parsed([f"{variable} = None"], line)
        if assign is None:
            return [self._bind(variable, value, line), *guards, *done]
        stored = _with(assign, value=ast.copy_location(ast.Name(variable, ast.Load()), value))
        return [self._bind(variable, value, line), *guards, stored, *done]

    def _return(self, value: ast.expr | None, line: int, bound: list[str] | None = None) -> list[ast.stmt]:
        variable = f"{self.mark}result"
        again = ast.Return(ast.Name(variable, ast.Load()))
        _put([again], line)
        guards = _parsed(self.returned(variable, line), line) if self.returned is not None else []
        first = self._bind(variable, value, line)
        return [first, *self._guards(bound or [], line), *guards, again]

    def _bind(self, variable: str, value: ast.expr | None, line: int) -> ast.stmt:
        bind = ast.Assign([ast.Name(variable, ast.Store())], ast.Constant(None))
        _put([bind], line)
        if value is not None:
            bind.value = value
        return bind

    def _yield(self, value: ast.expr | None, line: int) -> list[ast.stmt]:
        assert self.yielded is not None
        variable = f"{self.mark}item"
        bind = self._bind(variable, value, line)
        return [bind, *_parsed(self.yielded(variable, line), line)]

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
            case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in _LISTERS:
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


def _place(node: ast.AST) -> Any:
    return (
        type(node).__name__,
        *(getattr(node, part, None) for part in ("lineno", "col_offset", "end_lineno", "end_col_offset")),
    )


def _with(node: N, **changes: Any) -> N:
    """The node with some parts changed, as a new one."""
    new = copy.copy(node)
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def _parsed(lines: list[str], line: int) -> list[ast.stmt]:
    """Guard lines as statements, all on the line that they guard."""
    statements = ast.parse("\n".join(lines)).body
    _put(statements, line)
    return statements


def _put(nodes: Iterable[ast.AST], line: int) -> None:
    """Set the line of nodes and of all that is in them; `ast.walk` would be half of the price of a decoration."""
    stack: list[Any] = list(nodes)
    while stack:
        node = stack.pop()
        if "lineno" in node._attributes:
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                stack.append(value)
            elif isinstance(value, list):
                stack += [item for item in value if isinstance(item, ast.AST)]


def _statements(block: list[ast.stmt], guarded: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement of the function itself, and whether something around it may swallow an error."""
    for statement in block:
        yield statement, guarded
        if isinstance(statement, FunctionNode | ast.ClassDef):
            continue
        catches = isinstance(statement, ast.With | ast.AsyncWith) or bool(getattr(statement, "handlers", []))
        leaves = any(_leaves(s) for s in getattr(statement, "finalbody", []))
        for part in ("body", "orelse", "finalbody"):
            shelter = guarded or (catches and part == "body") or (leaves and part != "finalbody")
            yield from _statements(getattr(statement, part, None) or [], shelter)
        for handler in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from _statements(handler.body, guarded or leaves)


def _leaves(statement: ast.stmt) -> bool:
    """Whether a `finally` may leave by itself, which drops the error on its way."""
    return any(isinstance(n, ast.Return | ast.Break | ast.Continue) for n in ast.walk(statement))


def _expressions(statement: ast.stmt) -> list[ast.expr]:
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


def _certain(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression that run whenever it does."""
    yield node
    match node:
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return
        case ast.BoolOp(values=[first, *_]) | ast.IfExp(test=first):
            yield from _certain(first)
        case ast.Compare(left=left, comparators=[first, *_]):
            yield from _certain(left)
            yield from _certain(first)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _certain(child)


def _yields(statement: ast.stmt) -> bool:
    return any(isinstance(n, ast.Yield | ast.YieldFrom) for part in _expressions(statement) for n in _own(part))


def _hidden_yield(statement: ast.stmt) -> bool:
    """Whether a statement yields from within an expression, or delegates."""
    match statement:
        case ast.Expr(value=ast.Yield() as plain) | ast.Assign(value=ast.Yield() as plain):
            parts: list[ast.AST] = [plain.value] if plain.value is not None else []
        case _:
            parts = list(_expressions(statement))
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for part in parts for node in _own(part))


def _own(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, ast.Lambda | ast.GeneratorExp):
        for child in ast.iter_child_nodes(node):
            yield from _own(child)


def stored_names(node: FunctionNode) -> set[str]:
    """The names that the body binds: an argument among them no longer is what the caller passed."""
    return {
        n.id
        for statement in node.body
        for n in ast.walk(statement)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store | ast.Del)
    }
