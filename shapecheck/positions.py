"""Where a node stands in its file: rows and columns, and the text there. Costly, so only for a file with findings.

libcst nodes don't know their place. Writing the tree back and counting characters tells it, once for all nodes of a
file. libcst's own provider does that too; counting offsets only, and rows and columns on demand, is cheaper.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shapecheck.deep import on_deep_stack
from shapecheck.program import Node, Program

_FRAMES = 20_000  # libcst writes with three frames a level; shapecheck.gate bounds the levels


@dataclass(frozen=True, slots=True)
class Span:
    """Rows and columns count from 1, columns in characters; `end_column` is the one behind the last character."""

    row: int
    column: int
    end_row: int
    end_column: int


def spans(program: Program) -> Positions:
    """The positions in `program`. Nothing is computed before the first question."""
    return Positions(program)


class Positions:
    """Answers where the nodes of one program stand. Outer brackets and spaces of an expression are not part of it."""

    def __init__(self, program: Program) -> None:
        if program.module is None:
            raise ValueError(f"{program.path}: this program has lost its libcst tree, so nothing in it has a place")
        self._module = program.module

    def span(self, node: Node) -> Span:
        """The place of `node`. Raises KeyError for a node of another program."""
        start, end = self.offsets(node)
        return Span(*self._place(start), *self._place(end))

    def offsets(self, node: Node) -> tuple[int, int]:
        """Start and end of `node` as offsets into `source`. Raises KeyError for a node of another program."""
        return self._written.offsets[id(node.cst)]

    def text(self, node: Node) -> str:
        """The source text of `node`, line breaks and inner comments included."""
        start, end = self.offsets(node)
        return self.source[start:end]

    @cached_property
    def source(self) -> str:
        """The decoded file, without its byte-order mark."""
        return "".join(self._written.tokens)

    @cached_property
    def _written(self) -> _Writer:
        try:
            return _write(self._module)
        except RecursionError:  # from about 300 operators in one expression
            limit = sys.getrecursionlimit()
            sys.setrecursionlimit(max(limit, _FRAMES))
            try:
                return on_deep_stack(lambda: _write(self._module))
            finally:
                sys.setrecursionlimit(limit)

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(r"\r\n?|\n", self.source))]

    def _place(self, offset: int) -> tuple[int, int]:
        row = bisect_right(self._lines, offset)
        return row, offset - self._lines[row - 1] + 1


def _write(module: Any) -> _Writer:
    writer = _Writer(module)
    module._codegen(writer)
    return writer


class _Writer:
    """Takes the place of libcst's code generation state: collects tokens, and notes offsets by the id of a node."""

    def __init__(self, module: Any) -> None:
        self.default_indent: str = module.default_indent
        self.default_newline: str = module.default_newline
        self.tokens: list[str] = []
        self.offsets: dict[int, tuple[int, int]] = {}
        self.offset = 0
        self._indents: list[str] = []
        self._starts: list[int] = []

    def increase_indent(self, value: str) -> None:
        self._indents.append(value)

    def decrease_indent(self) -> None:
        self._indents.pop()

    def add_indent_tokens(self) -> None:
        for token in self._indents:
            self.add_token(token)

    def add_token(self, value: str) -> None:
        self.tokens.append(value)
        self.offset += len(value)

    def pop_trailing_newline(self) -> None:
        if self.tokens:
            self.offset -= len(self.tokens.pop())

    def before_codegen(self, node: Any) -> None:
        self._starts.append(self.offset)

    def after_codegen(self, node: Any) -> None:
        start = self._starts.pop()
        if id(node) not in self.offsets:  # else it noted its place without outer spaces
            self.offsets[id(node)] = start, self.offset

    def record_syntactic_position(self, node: Any, *, start_node: Any = None, end_node: Any = None) -> _Note:
        return _Note(self, node, start_node, end_node)


class _Note:
    """The context in which libcst writes what belongs to a node proper."""

    __slots__ = ("end_node", "node", "start", "start_node", "writer")

    def __init__(self, writer: _Writer, node: Any, start_node: Any, end_node: Any) -> None:
        self.writer = writer
        self.node = node
        self.start_node = start_node
        self.end_node = end_node

    def __enter__(self) -> None:
        self.start = self.writer.offset

    def __exit__(self, *error: object) -> None:
        offsets = self.writer.offsets
        start = self.start if self.start_node is None else offsets[id(self.start_node)][0]
        end = self.writer.offset if self.end_node is None else offsets[id(self.end_node)][1]
        offsets[id(self.node)] = start, end
