"""Turns a file into a Program: read, check, parse by libcst, lower. Nothing of the file is imported or run.

Only fields that mean something are read: no visitor, no metadata, and whitespace only where a comment may sit.
"""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import libcst as cst

from shapecheck.source.deep import on_deep_stack
from shapecheck.source.gate import Text, Unreadable, admit
from shapecheck.source.lower_expr import BINARY, Expressions, comment_text
from shapecheck.source.program import (
    Assert,
    Bind,
    Branch,
    Case,
    Class,
    Const,
    Eval,
    Expr,
    Function,
    Handler,
    Import,
    ImportName,
    Jump,
    Loop,
    Match,
    Opaque,
    Program,
    Raise,
    Return,
    Scope,
    Stmt,
    Try,
    With,
    WithItem,
)

__all__ = ["Unreadable", "lower", "parse"]

MAX_ELIF_CHAIN = 100  # an elif is a Branch inside a Branch; readers may recurse


def parse(source: bytes, path: str) -> Program:
    """The program that `source` spells. Raises Unreadable when it can't be read; `path` is only remembered."""
    text = admit(source)
    return on_deep_stack(lambda: _program(text, path))


def _program(text: Text, path: str) -> Program:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in the code that is read
        module = _module(text)
        try:
            body, docstring = lower(module)
        except RecursionError as error:
            raise Unreadable("The code is nested too deeply.") from error
    return Program(path, body, docstring, module, text.text)


def lower(module: cst.Module) -> tuple[tuple[Stmt, ...], str | None]:
    """The statements of a libcst module and its docstring."""
    return _split_docstring(_Statements().block(module.body, module.header))


def _module(text: Text) -> cst.Module:
    config: Any = cst.PartialParserConfig(encoding=text.encoding)
    try:
        return cst.parse_module(text.text, config)
    except cst.ParserSyntaxError as error:
        raise _explain(text.text, error) from error
    except Exception as error:  # the native parser has raised RecursionError, ValueError and its own panics
        raise Unreadable(f"The parser failed: {type(error).__name__}: {_one_line(error)}.") from error


_PLACE = re.compile(r"error at (\d+):(\d+): (.*)", re.DOTALL)
_PYTHON_2 = re.compile(
    r"\s*(?:print\s+[^\s=(.,:)]|exec\s+[^\s=(.,:)]|raise\s+[\w.]+\s*,|except\s+[\w.]+\s*,\s*\w+\s*:)"
)


def _explain(text: str, error: cst.ParserSyntaxError) -> Unreadable:
    """Python says best what is wrong with a text, if it is wrong for this Python too."""
    place = _PLACE.search(error.message)
    line, column = (int(place[1]), int(place[2])) if place else (error.raw_line, error.raw_column + 1)
    reason = f"The parser does not know this syntax: {_one_line(place[3] if place else error.message)}"
    try:
        ast.parse(text)
    except SyntaxError as worse:
        line, column = worse.lineno or line, worse.offset or column
        reason = f"Syntax error: {worse.msg}"
    except (ValueError, RecursionError, MemoryError):
        pass  # then libcst's own words stand
    lines = text.split("\n")
    if "leading zeros" in reason or (0 < line <= len(lines) and _PYTHON_2.match(lines[line - 1])):
        reason = f"This looks like Python 2. {reason}"
    return Unreadable(reason.rstrip(".") + ".", line, column)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())[:200]


class _Statements(Expressions):
    """Lowers statements. Each method for one appends to `out`: a line or a `del` may make several, or none."""

    # ------------------------------------------------------------------- blocks

    def block(self, nodes: Iterable[Any], header: Sequence[cst.EmptyLine] = ()) -> tuple[Stmt, ...]:
        """The statements of a body. `header`: lines above the first one that libcst keeps elsewhere."""
        out: list[Stmt] = []
        for node in nodes:
            lines = (*header, *node.leading_lines) if header else node.leading_lines
            header = ()
            above = _above(lines) if lines else None
            if isinstance(node, cst.SimpleStatementLine):
                self.line(node, above, out)
            else:
                _COMPOUND.get(type(node), _Statements.unknown_statement)(self, node, above, out)
        return tuple(out)

    def suite(self, node: cst.BaseSuite) -> tuple[Stmt, ...]:
        if isinstance(node, cst.IndentedBlock):
            return self.block(node.body)
        out: list[Stmt] = []
        self.line(node, None, out)
        return tuple(out)

    def line(self, node: Any, above: str | None, out: list[Stmt]) -> None:
        """`a = 1; b = 2  # comment`: what is above belongs to the first, the comment to the last."""
        last = node.body[-1]
        for small in node.body:
            comment = None
            if small is last:
                comment = comment_text(node.trailing_whitespace.comment) or _inner_comment(small)
            _SIMPLE.get(type(small), _Statements.unknown_statement)(self, small, above, out, comment)
            above = None

    def unknown_statement(self, node: Any, above: str | None, out: list[Stmt], comment: str | None = None) -> None:
        out.append(Eval(Opaque(type(node).__name__, cst=node), cst=node, above=above, comment=comment))

    # -------------------------------------------------------- simple statements

    def assign(self, node: cst.Assign, above: str | None, out: list[Stmt], comment: str | None) -> None:
        targets = self.exprs(target.target for target in node.targets)
        out.append(Bind(targets, self.expr(node.value), cst=node, above=above, comment=comment))

    def annotated(self, node: cst.AnnAssign, above: str | None, out: list[Stmt], comment: str | None) -> None:
        value, annotation = self.optional(node.value), self.expr(node.annotation.annotation)
        out.append(Bind((self.expr(node.target),), value, annotation, cst=node, above=above, comment=comment))

    def augmented(self, node: cst.AugAssign, above: str | None, out: list[Stmt], comment: str | None) -> None:
        target, aug = self.expr(node.target), _AUGMENT[type(node.operator)]
        out.append(Bind((target,), self.expr(node.value), aug=aug, cst=node, above=above, comment=comment))

    def type_alias(self, node: cst.TypeAlias, above: str | None, out: list[Stmt], comment: str | None) -> None:
        out.append(Bind((self.expr(node.name),), self.expr(node.value), cst=node, above=above, comment=comment))

    def expression(self, node: cst.Expr, above: str | None, out: list[Stmt], comment: str | None) -> None:
        out.append(Eval(self.expr(node.value), cst=node, above=above, comment=comment))

    def return_(self, node: cst.Return, above: str | None, out: list[Stmt], comment: str | None) -> None:
        out.append(Return(self.optional(node.value), cst=node, above=above, comment=comment))

    def raise_(self, node: cst.Raise, above: str | None, out: list[Stmt], comment: str | None) -> None:
        out.append(Raise(self.optional(node.exc), cst=node, above=above, comment=comment))

    def assert_(self, node: cst.Assert, above: str | None, out: list[Stmt], comment: str | None) -> None:
        out.append(Assert(self.expr(node.test), self.optional(node.msg), cst=node, above=above, comment=comment))

    def jump(self, node: Any, above: str | None, out: list[Stmt], comment: str | None) -> None:
        out.append(Jump(_JUMPS[type(node)], cst=node, above=above, comment=comment))

    def delete(self, node: cst.Del, above: str | None, out: list[Stmt], comment: str | None) -> None:
        names, others = [], []
        pending: list[Any] = [node.target]
        while pending:
            target = pending.pop(0)
            if isinstance(target, cst.Tuple | cst.List):
                pending += [element.value for element in target.elements]
            elif isinstance(target, cst.Name):
                names.append(target.value)
            else:
                others.append(self.expr(target))
        if names:
            out.append(Scope("del", tuple(names), cst=node, above=above, comment=comment))
        if others or not names:  # `del x[0], y.z`: what they hold changes, no name goes
            out.append(Eval(Opaque("del", tuple(others), cst=node), cst=node, above=above, comment=comment))

    def scope(self, node: Any, above: str | None, out: list[Stmt], comment: str | None) -> None:
        kind = "global" if isinstance(node, cst.Global) else "nonlocal"
        names = tuple([item.name.value for item in node.names])
        out.append(Scope(kind, names, cst=node, above=above, comment=comment))

    def import_(self, node: Any, above: str | None, out: list[Stmt], comment: str | None) -> None:
        names = []
        for alias in node.names:
            module = _dotted(alias.name)
            if alias.asname is None:  # `import a.b` binds a
                module = module.partition(".")[0]
                names.append(ImportName(module, module, None, cst=alias))
            else:
                names.append(ImportName(alias.asname.name.value, module, None, cst=alias))
        out.append(Import(tuple(names), cst=node, above=above, comment=comment))

    def import_from(self, node: Any, above: str | None, out: list[Stmt], comment: str | None) -> None:
        module = "" if node.module is None else _dotted(node.module)
        level = len(node.relative)
        if isinstance(node.names, cst.ImportStar):
            out.append(Import((), (module, level), cst=node, above=above, comment=comment))
            return
        names = []
        for alias in node.names:
            bound = alias.name if alias.asname is None else alias.asname.name
            names.append(ImportName(bound.value, module, alias.name.value, level, cst=alias))
        out.append(Import(tuple(names), cst=node, above=above, comment=comment))

    # ------------------------------------------------------ compound statements

    def if_(self, node: cst.If, above: str | None, out: list[Stmt]) -> None:
        chain = [node]
        while isinstance(chain[-1].orelse, cst.If):
            chain.append(chain[-1].orelse)
            if len(chain) > MAX_ELIF_CHAIN:
                raise Unreadable(f"One if has more than {MAX_ELIF_CHAIN} elif branches.")
        orelse = self._else(chain[-1].orelse)
        for link in reversed(chain):
            test, body = self.expr(link.test), self.suite(link.body)
            lines = above if link is node else _above(link.leading_lines)
            orelse = (Branch(test, body, orelse, cst=link, above=lines, comment=_header(link.body)),)
        out += orelse

    def _else(self, node: Any) -> tuple[Stmt, ...]:
        return () if node is None else self.suite(node.body)

    def for_(self, node: cst.For, above: str | None, out: list[Stmt]) -> None:
        target, items = self.expr(node.target), self.expr(node.iter)
        body, orelse = self.suite(node.body), self._else(node.orelse)
        out.append(Loop(target, items, None, body, orelse, cst=node, above=above, comment=_header(node.body)))

    def while_(self, node: cst.While, above: str | None, out: list[Stmt]) -> None:
        test, body, orelse = self.expr(node.test), self.suite(node.body), self._else(node.orelse)
        out.append(Loop(None, None, test, body, orelse, cst=node, above=above, comment=_header(node.body)))

    def with_(self, node: cst.With, above: str | None, out: list[Stmt]) -> None:
        items = []
        for item in node.items:
            target = None if item.asname is None else self.expr(item.asname.name)
            items.append(WithItem(self.expr(item.item), target, cst=item))
        out.append(With(tuple(items), self.suite(node.body), cst=node, above=above, comment=_header(node.body)))

    def try_(self, node: Any, above: str | None, out: list[Stmt]) -> None:
        body = self.suite(node.body)
        handlers = []
        for handler in node.handlers:
            name = None if handler.name is None else handler.name.name.value
            handlers.append(Handler(self.optional(handler.type), name, self.suite(handler.body), cst=handler))
        orelse, final = self._else(node.orelse), self._else(node.finalbody)
        comment = _header(node.body)
        out.append(Try(body, tuple(handlers), orelse, final, cst=node, above=above, comment=comment))

    def match_(self, node: cst.Match, above: str | None, out: list[Stmt]) -> None:
        subject = self.expr(node.subject)
        cases = []
        for case in node.cases:
            binds: list[str] = []
            pattern = self._pattern(case.pattern, binds)
            cases.append(Case(pattern, tuple(binds), self.optional(case.guard), self.suite(case.body), cst=case))
        comment = comment_text(node.whitespace_after_colon.comment)
        out.append(Match(subject, tuple(cases), cst=node, above=above, comment=comment))

    def _pattern(self, node: Any, binds: list[str]) -> Expr | None:
        """The lowered pattern, None where anything matches; the names that it captures go to `binds`."""
        inner: list[Expr | None]
        match node:
            case cst.MatchValue() | cst.MatchSingleton():
                return self.expr(node.value)
            case cst.MatchAs():
                whole = None if node.pattern is None else self._pattern(node.pattern, binds)
                if node.name is not None:
                    binds.append(node.name.value)
                return whole
            case cst.MatchStar():
                if node.name is not None:
                    binds.append(node.name.value)
                return None
            case cst.MatchOr():
                inner = [self._pattern(each.pattern, binds) for each in node.patterns]
                binds[:] = dict.fromkeys(binds)  # every alternative binds the same names
            case cst.MatchSequence():
                inner = [
                    self._pattern(each.value if isinstance(each, cst.MatchSequenceElement) else each, binds)
                    for each in node.patterns
                ]
            case cst.MatchMapping():
                inner = [part for each in node.elements for part in self._entry(each, binds)]
                if node.rest is not None:
                    binds.append(node.rest.value)
            case cst.MatchClass():
                inner = [self.expr(node.cls)]
                inner += [self._pattern(each.value, binds) for each in node.patterns]
                inner += [self._pattern(each.pattern, binds) for each in node.kwds]
            case _:
                inner = []
        parts = tuple([part for part in inner if part is not None])
        return Opaque(type(node).__name__, parts, cst=node)

    def _entry(self, node: cst.MatchMappingElement, binds: list[str]) -> tuple[Expr | None, Expr | None]:
        return self.expr(node.key), self._pattern(node.pattern, binds)

    # ------------------------------------------------------------- definitions

    def function(self, node: cst.FunctionDef, above: str | None, out: list[Stmt]) -> None:
        decorators = self.exprs(decorator.decorator for decorator in node.decorators)
        params = self.params(node.params)
        returns = None if node.returns is None else self.expr(node.returns.annotation)
        outside, self.saw_yield = self.saw_yield, False
        body, docstring = _split_docstring(self.suite(node.body))
        is_generator, self.saw_yield = self.saw_yield, outside
        comment = _header(node.body)
        function = Function(
            node.name.value,
            params,
            body,
            returns,
            decorators,
            docstring,
            is_async=node.asynchronous is not None,
            is_generator=is_generator,
            return_comment=comment,
            cst=node,
            above=_above(node.lines_after_decorators) or above,
            comment=comment,
        )
        out.append(function)

    def class_(self, node: cst.ClassDef, above: str | None, out: list[Stmt]) -> None:
        decorators = self.exprs(decorator.decorator for decorator in node.decorators)
        bases = self.args((*node.bases, *node.keywords))
        body, docstring = _split_docstring(self.suite(node.body))
        above = _above(node.lines_after_decorators) or above
        comment = _header(node.body)
        out.append(Class(node.name.value, bases, body, decorators, docstring, cst=node, above=above, comment=comment))


def _split_docstring(body: tuple[Stmt, ...]) -> tuple[tuple[Stmt, ...], str | None]:
    match body[:1]:
        case (Eval(Const(str() as text)),):
            return body[1:], inspect.cleandoc(text)
    return body, None


def _above(lines: Sequence[cst.EmptyLine]) -> str | None:
    """The comments directly above a statement, in its own indentation: up to a blank line or another indentation."""
    found: list[str] = []
    for line in reversed(lines):
        if line.comment is None or not line.indent or line.whitespace.value:
            break
        found.append(line.comment.value.lstrip("#").strip())
    return "\n".join(reversed(found)) or None


def _header(body: cst.BaseSuite) -> str | None:
    """The comment behind the colon; in `if x: y  # comment` it is y's."""
    return comment_text(body.header.comment) if isinstance(body, cst.IndentedBlock) else None


def _inner_comment(node: Any) -> str | None:
    """The comment before the closing bracket of a value that is wrapped in brackets of its own."""
    value = getattr(node, "value", None)
    brackets = getattr(value, "rpar", ())
    space = brackets[-1].whitespace_before if brackets else None
    return comment_text(space.first_line.comment) if isinstance(space, cst.ParenthesizedWhitespace) else None


def _dotted(node: Any) -> str:
    names = []
    while isinstance(node, cst.Attribute):
        names.append(node.attr.value)
        node = node.value
    names.append(node.value)
    return ".".join(reversed(names))


_JUMPS: dict[type[cst.CSTNode], str] = {cst.Break: "break", cst.Continue: "continue", cst.Pass: "pass"}
_AUGMENT: dict[type[cst.CSTNode], str] = {getattr(cst, f"{kind.__name__}Assign"): op for kind, op in BINARY.items()}
_SIMPLE: dict[type[cst.CSTNode], Callable[[_Statements, Any, str | None, list[Stmt], str | None], None]] = {
    cst.Assign: _Statements.assign,
    cst.AnnAssign: _Statements.annotated,
    cst.AugAssign: _Statements.augmented,
    cst.TypeAlias: _Statements.type_alias,
    cst.Expr: _Statements.expression,
    cst.Return: _Statements.return_,
    cst.Raise: _Statements.raise_,
    cst.Assert: _Statements.assert_,
    cst.Break: _Statements.jump,
    cst.Continue: _Statements.jump,
    cst.Pass: _Statements.jump,
    cst.Del: _Statements.delete,
    cst.Global: _Statements.scope,
    cst.Nonlocal: _Statements.scope,
    cst.Import: _Statements.import_,
    cst.ImportFrom: _Statements.import_from,
}
_COMPOUND: dict[type[cst.CSTNode], Callable[[_Statements, Any, str | None, list[Stmt]], None]] = {
    cst.If: _Statements.if_,
    cst.For: _Statements.for_,
    cst.While: _Statements.while_,
    cst.With: _Statements.with_,
    cst.Try: _Statements.try_,
    cst.TryStar: _Statements.try_,
    cst.Match: _Statements.match_,
    cst.FunctionDef: _Statements.function,
    cst.ClassDef: _Statements.class_,
}
for _name, _method in (("LazyImport", _Statements.import_), ("LazyImportFrom", _Statements.import_from)):
    if hasattr(cst, _name):  # libcst 1.9 and later
        _SIMPLE[getattr(cst, _name)] = _method
