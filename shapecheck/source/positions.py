"""Where a node stands in its file: rows and columns, and the text there. Costly, so only for a file with findings.

libcst nodes don't know their place. Writing the tree back and counting characters tells it, once for all nodes of a
file. libcst's own provider does that too; counting offsets only, with rows and columns on demand, is cheaper.
What libcst writes lacks a few characters of the file (form feeds, the space in `f"{x !r : }"`): `_Shift` finds them.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shapecheck.source.deep import on_deep_stack
from shapecheck.source.program import Node, Program

_LINE_BREAK = re.compile(r"\r\n?|\n")
_CHUNK = 4096  # characters compared at once
_FRAMES = 20_000  # libcst writes with three frames a level; shapecheck.source.gate bounds the levels


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
        self._program = program

    def span(self, node: Node) -> Span:
        """The place of `node`. Raises KeyError for a node of another program."""
        start, end = self.offsets(node)
        return Span(*self._place(start), *self._place(end))

    def offsets(self, node: Node) -> tuple[int, int]:
        """Start and end of `node` as offsets into `program.text`. Raises KeyError for a node of another program."""
        start, end = self._written.offsets[id(node.cst)]
        while start < end and self._written_text[start].isspace():  # libcst counts the space before a `for` clause
            start += 1
        return self._shift(start), self._shift(end - 1) + 1 if end > start else self._shift(end)

    def text(self, node: Node) -> str:
        """The source text of `node`, line breaks and inner comments included."""
        start, end = self.offsets(node)
        return self._program.text[start:end]

    @cached_property
    def _written_text(self) -> str:
        return "".join(self._written.tokens)

    @cached_property
    def _shift(self) -> _Shift:
        return _Shift(self._written_text, self._program.text)

    @cached_property
    def _written(self) -> _Writer:
        try:
            return _write(self._program.module)
        except RecursionError:  # from about 300 operators in one expression
            limit = sys.getrecursionlimit()
            sys.setrecursionlimit(max(limit, _FRAMES))
            try:
                return on_deep_stack(lambda: _write(self._program.module))
            finally:
                sys.setrecursionlimit(limit)

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_BREAK.finditer(self._program.text))]

    def _place(self, offset: int) -> tuple[int, int]:
        row = bisect_right(self._lines, offset)
        return row, offset - self._lines[row - 1] + 1


class _Shift:
    """From offsets in a text that lacks some characters of the whole to offsets in the whole."""

    def __init__(self, written: str, whole: str) -> None:
        self._from: list[int] = [0]  # from this offset in `written` on ...
        self._by: list[int] = [0]  # ... so many characters have been left out
        here = there = 0
        while here < len(written):
            size = _CHUNK if written[here : here + _CHUNK] == whole[there : there + _CHUNK] else 1
            if size == 1 and written[here] != whole[there : there + 1]:
                found = whole.find(written[here], there)
                if found < 0:
                    return  # not a mere omission: keep the shift
                there = found
                self._from.append(here)
                self._by.append(there - here)
            here += size
            there += size

    def __call__(self, offset: int) -> int:
        return offset + self._by[bisect_right(self._from, offset) - 1]


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
        self._indents.append(value.replace("\f", ""))  # libcst repeats the first line's on every line

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
