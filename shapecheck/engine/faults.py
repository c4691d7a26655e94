"""Bugs of ours that a run met. Each costs the one value that was asked for; the report tells each once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from shapecheck.engine.values import Site
from shapecheck.source.program import Bind, Expr, Loop, Name, Node, Seq, Star, Stmt, With, walk

NOWHERE = Site("", Node())


@dataclass(frozen=True, slots=True)
class Fault:
    """`doing` is what was at work ("op cat"), `error` the kind and the text of what was raised,
    `place` the file and line of ours that raised it ("create.py:182"), `site` the code that was read."""

    doing: str
    error: str
    place: str
    site: Site

    @classmethod
    def of(cls, error: Exception, doing: str, site: Site = NOWHERE) -> Fault:
        return cls(doing, f"{type(error).__name__}: {error}".removesuffix(": "), _place(error), site)


def _place(error: Exception) -> str:
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "" if last is None else f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}"


def bound_by(stmt: Stmt) -> Iterator[str]:
    """Names that the statement, run to its end, would have given a value."""
    for node in (stmt, *walk(stmt)):
        match node:
            case Bind(targets=targets):
                yield from _names(targets)
            case Loop(target=target) if target is not None:
                yield from _names((target,))
            case With(items=items):
                yield from _names(tuple(i.target for i in items if i.target is not None))


def _names(targets: tuple[Expr, ...]) -> Iterator[str]:
    for target in targets:
        match target:
            case Name(id=name):
                yield name
            case Seq(items=items):
                yield from _names(items)
            case Star(value=inner):
                yield from _names((inner,))
