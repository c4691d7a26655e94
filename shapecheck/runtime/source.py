"""The source of a module, read and compiled once for all of its functions."""

from __future__ import annotations

import ast
import linecache
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

__all__ = ["FunctionNode", "NoSource", "Source", "keep", "source_of"]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
COMPILER_FLAGS = 0x1FF0000  # the `from __future__` bits of co_flags
_KEPT = 4  # a syntax tree is large: only those of the modules that are being imported


class NoSource(Exception):
    """The source is not at hand, or is not what runs."""


@dataclass(frozen=True)
class Source:
    """One module: its tree, and the code that it compiles to."""

    tree: ast.Module
    code: types.CodeType
    lines: Any  # what the tree was read from, to see that it is still that

    @cached_property
    def functions(self) -> dict[tuple[str, int], list[FunctionNode]]:
        found: dict[tuple[str, int], list[FunctionNode]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, FunctionNode):
                first = min((d.lineno for d in node.decorator_list), default=node.lineno)
                found.setdefault((node.name, first), []).append(node)
        return found

    @cached_property
    def codes(self) -> dict[tuple[str, int], list[types.CodeType]]:
        found: dict[tuple[str, int], list[types.CodeType]] = {}
        for code in _nested(self.code):
            found.setdefault((code.co_name, code.co_firstlineno), []).append(code)
        return found

    @cached_property
    def hidden_imports(self) -> list[ast.Import | ast.ImportFrom]:
        """What `if TYPE_CHECKING:` imports."""
        found: list[ast.Import | ast.ImportFrom] = []
        for node in ast.walk(self.tree):
            match node:
                case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), body=body):
                    found += [s for s in body if isinstance(s, ast.Import | ast.ImportFrom)]
        return found


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _nested(constant)


_sources: dict[tuple[str, int], Source] = {}


def source_of(filename: str, module: dict[str, Any], flags: int = 0) -> Source:
    """The module in a file (or a notebook's cell), as `linecache` has it now. Raises NoSource."""
    linecache.checkcache(filename)
    lines = linecache.getlines(filename, module)
    key = (filename, flags & COMPILER_FLAGS)
    known = _sources.get(key) or _sources.get((filename, -1))
    if known is not None and (known.lines is lines or known.lines == lines):
        return known
    if not lines:
        raise NoSource("its source is not at hand")
    text = "".join(lines)
    try:
        tree = compile(text, filename, "exec", ast.PyCF_ONLY_AST | key[1], dont_inherit=True)
        code = compile(text, filename, "exec", key[1], dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise NoSource("its source does not parse") from error
    return _keep(key, Source(tree, code, lines))


def keep(filename: str, text: str, tree: ast.Module, code: types.CodeType) -> None:
    """The import hook has read and compiled a module already."""
    _keep((filename, -1), Source(tree, code, text.splitlines(keepends=True)))


def _keep(key: tuple[str, int], source: Source) -> Source:
    _sources.pop(key, None)
    while len(_sources) >= _KEPT:
        _sources.pop(next(iter(_sources)), None)
    _sources[key] = source
    return source
