"""Defaults that a subclass replaces: functions of two tensors, and what the old and the new one give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shapecheck.dims import symbol
from shapecheck.engine.calls import call, default_of
from shapecheck.engine.facts import Overridden
from shapecheck.engine.modules import decorator_names, find_member
from shapecheck.engine.values import Axis, ClassVal, Closure, Extern, Tensor, Value, tensor
from shapecheck.source.program import Attr, Expr, Function, Name, Param

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


def overridden(m: Machine, init: Function, cls: ClassVal) -> Iterator[Overridden]:
    """Each default of `__init__` that is a function and stands where the base class has another function of two
    tensors."""
    own = {p.name: p for p in init.params if isinstance(p.default, (Attr, Name))}
    found = find_member(m, cls, "__init__", after=cls) if own else None
    if found is None or not isinstance(found[1], Function):
        return
    base, inherited = found[0], found[1]
    for theirs in inherited.params:
        mine = own.get(theirs.name)
        if mine is None or mine.default is None or theirs.default is None:
            continue
        with m.silently():
            now, before = _default(m, init, cls, mine), _default(m, inherited, base, theirs)
            if now == before:
                continue
            pair = _two_batches(m)
            result, usual = (_applied(m, function, pair, init) for function in (now, before))
        if result is not None and usual is not None:
            yield Overridden(
                site=m.at(mine.default),
                name=mine.name,
                result=result,
                inherited=usual,
                owner=base.node.name,
                default=_last_name(theirs.default),
            )


def _default(m: Machine, init: Function, cls: ClassVal, parameter: Param) -> Value:
    closure = Closure(init, cls.path, cls.frame, None, cls, decorator_names(init))
    return m.resolve(default_of(m, closure, parameter))


def _two_batches(m: Machine) -> list[Tensor]:
    size, width = symbol(m.fresh("B")), symbol(m.fresh("D"))
    return [tensor(Axis(size, role="batch"), Axis(width), dtype="float") for _ in range(2)]


def _applied(m: Machine, function: Value, pair: list[Tensor], init: Function) -> Tensor | None:
    """What a function makes of two batches of vectors."""
    if not isinstance(function, (Closure, Extern)):
        return None
    result = call(m, function, list(pair), {}, init)
    return m.state.tensor(result) if isinstance(result, Tensor) else None


def _last_name(expr: Expr) -> str:
    return expr.name if isinstance(expr, Attr) else expr.id if isinstance(expr, Name) else ""
