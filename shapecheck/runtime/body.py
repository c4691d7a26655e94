"""The body of a function with guards written in: at its head, at annotated locals, at `return` and `yield`."""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import sys
import textwrap
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shapecheck.runtime.contract import Contract, Free

__all__ = ["Body", "NoSource", "Writer", "compile_body", "read_body", "register_source", "stored_names"]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_COMPILER_FLAGS = 0x1FF0000  # the `from __future__` bits of co_flags


class NoSource(Exception):
    """The source is not at hand, or is not what runs."""


@dataclass(frozen=True, slots=True)
class Body:
    """A function's own syntax tree, with the line numbers of its file."""

    node: FunctionNode
    fn: types.FunctionType
    class_name: str | None  # for `__private` names and `super()`


def read_body(fn: types.FunctionType) -> Body:
    """Find the syntax tree of a function. Raises NoSource."""
    code = fn.__code__
    if hasattr(fn, "__wrapped__") or code.co_name == "<lambda>":
        raise NoSource("it is a lambda, or wrapped by another decorator")
    try:
        lines, first = inspect.getsourcelines(code)
    except (OSError, TypeError) as error:
        raise NoSource("its source is not at hand") from error
    source = "".join(lines)
    indented = source[:1].isspace()
    try:
        tree = ast.parse(f"if 1:\n{source}" if indented else source)
    except SyntaxError as error:
        raise NoSource("its source does not parse alone") from error
    ast.increment_lineno(tree, first - 1 - indented)
    statements = tree.body[0].body if indented and isinstance(tree.body[0], ast.If) else tree.body
    node = statements[0] if statements else None
    if not isinstance(node, FunctionNode) or node.name != code.co_name:
        raise NoSource("its source is not a function definition")
    node.decorator_list = []
    body = Body(node, fn, _class_name(fn))
    _is_what_runs(body)
    return body


def _class_name(fn: types.FunctionType) -> str | None:
    parts = fn.__qualname__.split(".")
    return parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else None


def _is_what_runs(body: Body) -> None:
    """The file may have changed since it was imported, or something rewrote the code: then leave the body alone."""
    code, again = body.fn.__code__, compile_body(body.node, body, {}).__code__
    same = code.co_varnames == again.co_varnames and code.co_freevars == again.co_freevars
    rewritten = any(name.startswith("@py") for name in code.co_names + code.co_varnames)  # pytest's assertions
    if rewritten:
        names = {n for n in code.co_varnames if not n.startswith("@py")}
        same = names <= set(again.co_varnames) and set(again.co_freevars) <= set(code.co_freevars)
    elif same:
        same = code.co_names == again.co_names and _steps(code) == _steps(again)
    if not same:
        raise NoSource("its source is not what runs: the file changed, or the code was rewritten")


_CALLING = {"LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "PUSH_NULL", "PRECALL", "CALL", "CALL_METHOD", "CALL_FUNCTION",
            "EXTENDED_ARG", "NOP"}  # fmt: skip


def _steps(code: types.CodeType) -> list[tuple[str, str]]:
    """The operations of a code object, but for calls: what is called on a module compiles by where it was imported."""
    said = ("BINARY_OP", "COMPARE_OP")
    found = ((i.opname, i.argrepr if i.opname in said else "") for i in dis.get_instructions(code))
    return [step for step in found if step[0] not in _CALLING]


def compile_body(node: FunctionNode, body: Body, constants: Mapping[str, Any]) -> types.FunctionType:
    """A function like `body.fn` with the code of `node`, whose extra free variables are `constants`."""
    fn = body.fn
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or ()))
    outer: ast.stmt = node
    if body.class_name is not None:
        outer = ast.ClassDef(name=body.class_name, bases=[], keywords=[], body=[node], decorator_list=[])
        if sys.version_info >= (3, 12):
            outer.type_params = []
    free = [name for name in (*cells, *constants) if name != "__class__"]
    factory = ast.parse(f"def _factory({', '.join(free)}): pass").body[0]
    assert isinstance(factory, ast.FunctionDef)
    factory.body = [outer]
    module = ast.Module([factory], [])
    ast.fix_missing_locations(module)
    flags = fn.__code__.co_flags & _COMPILER_FLAGS
    code = compile(module, fn.__code__.co_filename, "exec", flags, dont_inherit=True)
    inner = _find(code, node.name)
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


def _find(code: types.CodeType, name: str) -> types.CodeType:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if constant.co_name == name and constant.co_name != "_factory":
                found = constant
                if not _is_class_body(constant):
                    return found
            found_inside = _search(constant, name)
            if found_inside is not None:
                return found_inside
    raise NoSource("the compiled body was not found")


def _search(code: types.CodeType, name: str) -> types.CodeType | None:
    try:
        return _find(code, name)
    except NoSource:
        return None


def _is_class_body(code: types.CodeType) -> bool:
    return not code.co_flags & inspect.CO_OPTIMIZED


@dataclass(slots=True)
class Writer:
    """Writes guards into a body. The three callables give guard lines for a value in a variable.

    `local(annotation, target, line)` is asked for each annotated local, `called(call)` for `check(x, "B G")`.
    """

    mark: str
    returned: Callable[[str, int], list[str]] | None
    yielded: Callable[[str, int], list[str]] | None
    local: Callable[[Contract, str, str, int], list[str]]
    contract_of: Callable[[ast.expr], Contract]
    checked: Callable[[ast.Call], tuple[Contract, ast.expr] | None]
    declared: dict[str, tuple[Contract, str]] = field(default_factory=dict)
    locals: list[tuple[int, str, Contract]] = field(default_factory=list)
    awkward: bool = False  # a yield or return stands where no guard can be written

    def survey(self, node: FunctionNode) -> None:
        """Collect what the body declares, before anything is written."""
        for statement, guarded in _statements(node.body, False):
            match statement:
                case ast.AnnAssign(target=target, annotation=annotation):
                    contract = self.contract_of(annotation)
                    if not isinstance(contract, Free):
                        self.locals.append((statement.lineno, ast.unparse(target), contract))
                        if statement.value is None and isinstance(target, ast.Name):
                            self.declared[target.id] = (contract, target.id)
                case ast.Expr(value=ast.Call() as call) | ast.Assign(value=ast.Call() as call):
                    if (found := self.checked(call)) is not None:
                        self.locals.append((statement.lineno, ast.unparse(found[1]), found[0]))
                case ast.Return() if guarded:
                    self.awkward = True
            if self.yielded is not None and _hidden_yield(statement):
                self.awkward = True

    def write(self, node: FunctionNode, head: list[str]) -> None:
        body = node.body
        doc = 1 if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) else 0
        start = body[doc].lineno if len(body) > doc else node.lineno
        new = self._block(body[doc:])
        if self.returned is not None and not isinstance(body[-1], ast.Return | ast.Raise):
            new += self._return(None, body[-1].end_lineno or start)
        node.body = [*body[:doc], *_parsed(head, node.lineno), *new]

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        return [new for statement in statements for new in self._statement(statement)]

    def _statement(self, statement: ast.stmt) -> list[ast.stmt]:
        line = statement.lineno
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return [statement]
            case ast.Return(value=value) if self.returned is not None:
                return self._return(value, line)
            case ast.Expr(value=ast.Yield(value=value)) if self.yielded is not None:
                return [*self._yield(value, line), ast.copy_location(ast.Expr(self._again(line)), statement)]
            case ast.Assign(value=ast.Yield(value=value)) if self.yielded is not None:
                before = self._yield(value, line)
                statement.value = self._again(line)
                return [*before, statement]
            case ast.AnnAssign(target=target, annotation=annotation, value=value) if value is not None:
                contract = self.contract_of(annotation)
                return [statement, *self._local(contract, target, line)]
            case ast.Expr(value=ast.Call() as call) if (found := self.checked(call)) is not None:
                return self._check(found, line, None)
            case ast.Assign(value=ast.Call() as call) if (found := self.checked(call)) is not None:
                return [*self._check(found, line, statement)]
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AugAssign(target=ast.Name(id=name)) if (
                name in self.declared
            ):
                return [statement, *self._local(self.declared[name][0], ast.Name(name, ast.Load()), line)]
        for part in ("body", "orelse", "finalbody"):
            if block := getattr(statement, part, None):
                setattr(statement, part, self._block(block))
        for handler in getattr(statement, "handlers", []):
            handler.body = self._block(handler.body)
        for case in getattr(statement, "cases", []):
            case.body = self._block(case.body)
        return [statement]

    def _local(self, contract: Contract, target: ast.expr, line: int) -> list[ast.stmt]:
        if isinstance(contract, Free):
            return []
        text = ast.unparse(target)
        return _parsed(self.local(contract, text, f"line {line}: {text}", line), line)

    def _check(self, found: tuple[Contract, ast.expr], line: int, assign: ast.Assign | None) -> list[ast.stmt]:
        contract, value = found
        variable = f"{self.mark}c"
        bind = ast.Assign([ast.Name(variable, ast.Store())], value)
        subject = f"line {line}: {ast.unparse(value)}"
        guards = _parsed(self.local(contract, variable, subject, line), line)
        ast.increment_lineno(bind, 0)
        ast.copy_location(bind, value)
        ast.fix_missing_locations(bind)
        if assign is None:
            return [bind, *guards]
        assign.value = ast.copy_location(ast.Name(variable, ast.Load()), value)
        return [bind, *guards, assign]

    def _return(self, value: ast.expr | None, line: int) -> list[ast.stmt]:
        assert self.returned is not None
        variable = f"{self.mark}result"
        bind = ast.Assign([ast.Name(variable, ast.Store())], value or ast.Constant(None))
        again = ast.Return(ast.Name(variable, ast.Load()))
        for node in (bind, again):
            node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = line, 0, line, 0
            ast.fix_missing_locations(node)
        return [bind, *_parsed(self.returned(variable, line), line), again]

    def _yield(self, value: ast.expr | None, line: int) -> list[ast.stmt]:
        assert self.yielded is not None
        variable = f"{self.mark}item"
        bind = ast.Assign([ast.Name(variable, ast.Store())], value or ast.Constant(None))
        bind.lineno, bind.col_offset, bind.end_lineno, bind.end_col_offset = line, 0, line, 0
        ast.fix_missing_locations(bind)
        return [bind, *_parsed(self.yielded(variable, line), line)]

    def _again(self, line: int) -> ast.expr:
        node = ast.Yield(ast.Name(f"{self.mark}item", ast.Load()))
        node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = line, 0, line, 0
        return ast.fix_missing_locations(node)


def _parsed(lines: list[str], line: int) -> list[ast.stmt]:
    """Guard lines as statements, all on the line that they guard."""
    statements = ast.parse("\n".join(lines)).body
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.stmt | ast.expr | ast.excepthandler):
                node.lineno = node.end_lineno = line
                node.col_offset = node.end_col_offset = 0
    return statements


def _statements(block: list[ast.stmt], guarded: bool) -> Any:
    """Every statement of the function itself, and whether an `except` of its own surrounds it."""
    for statement in block:
        yield statement, guarded
        if isinstance(statement, FunctionNode | ast.ClassDef):
            continue
        catches = bool(getattr(statement, "handlers", []))
        for part in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, part, None) or [], guarded or (catches and part == "body"))
        for handler in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from _statements(handler.body, guarded)


def _hidden_yield(statement: ast.stmt) -> bool:
    """Whether a statement yields from within an expression, or delegates."""
    match statement:
        case ast.Expr(value=ast.Yield() as plain) | ast.Assign(value=ast.Yield() as plain):
            parts: list[ast.AST] = [plain.value] if plain.value is not None else []
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return False
        case _:
            parts = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr)]
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for part in parts for node in _own(part))


def _own(node: ast.AST) -> Any:
    yield node
    if not isinstance(node, ast.Lambda | ast.GeneratorExp):
        for child in ast.iter_child_nodes(node):
            yield from _own(child)


def stored_names(node: FunctionNode) -> set[str]:
    """The names that the body binds: an argument among them no longer is what the caller passed."""
    return {
        n.id
        for n in ast.walk(ast.Module(node.body, []))
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store | ast.Del)
    }


def register_source(name: str, text: str) -> None:
    """Make generated lines visible to tracebacks and debuggers."""
    text = textwrap.dedent(text)
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
